import { quoteIdentifier } from '../../db/quote.ts';
import type { Check, Found } from '../check.ts';
import { type Fix, sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';
import { readSequences, type SequenceUse } from '../sequences.ts';

const MOST_NAMED = 5;

/** Finds sequences that have used most of what they, or the columns that they serve, can hold. */
export const sequenceExhaustion: Check = {
  name: 'sequence_exhaustion',
  area: 'tables',
  finds: 'identities and sequences that are nearly used up, by their own end or by the type of their column',
  explanation: `When a sequence has reached its end, every insert that takes a value from it fails (SQLSTATE 2200H); when its column ends
before it does, with 22003: a bigint sequence that serves an integer column has an end at 2,147,483,647.

Looked at are the sequences of identities, those that belong to a column, and those of defaults, of every table in scope. Their
last value can be read with USAGE or SELECT on them alone; those that the role may not read are reported as unknown.

A sequence is mended in a moment. To make a column wider rewrites the table with all its partitions and indexes, while nobody
can read or write it: a reason to do it long before the end, and to plan it. Columns of other tables that hold the values, and
views and functions over the column, have to be seen to besides.`,
  thresholds: {
    warning_percent: {
      value: 70,
      unit: 'percent',
      source: 'check_postgres warns at 85, which leaves little time to rewrite a large table',
    },
    critical_percent: { value: 90, unit: 'percent', source: 'PgHero; check_postgres has 95' },
  },
  opens: false,
  look: async (scene) => {
    const all = await readSequences(scene, scene.threshold('warning_percent'));
    const hidden = all.filter((use) => use.hidden !== null);
    return {
      found: [
        ...all.filter((use) => use.hidden === null).map((use) => judge(scene, use)),
        ...(['no_privilege', 'locked'] as const).flatMap((why) => {
          const some = hidden.filter((use) => use.hidden === why);
          return some.length === 0 ? [] : [unseen(scene, some, why)];
        }),
      ],
    };
  },
};

function judge(scene: Scene, use: SequenceUse): Found {
  const { sequence, table, column, columnType, last, limit, sequenceIsLimit, cycles } = use;
  const percent = use.percent ?? 0;
  const what = sequenceIsLimit ? `the end of ${sequence}` : `the end of ${columnType}`;
  const then =
    cycles && sequenceIsLimit ? 'then it begins again with values that it gave before' : 'then inserts fail';
  return {
    severity: percent >= scene.threshold('critical_percent') ? 'critical' : 'warning',
    object: table,
    message: `${quoteIdentifier(column)} has come to ${last}, ${Math.floor(percent)} % of the way to ${limit}, ${what}: ${then}.`,
    evidence: {
      sequence,
      column,
      columnType,
      lastValue: last,
      limit,
      percent: Math.floor(percent * 10) / 10,
      limitedBy: sequenceIsLimit ? 'sequence' : 'column',
    },
    fixes: fixesOf(use),
  };
}

const TYPES: Readonly<Record<string, string>> = { int8: 'bigint', int4: 'integer', int2: 'smallint' };

function fixesOf({
  sequence,
  table,
  column,
  columnSize,
  isAscending,
  sequenceIsLimit,
}: SequenceUse): readonly Fix[] {
  const end = isAscending ? 'no maxvalue' : 'no minvalue';
  const widen = (type: string): Fix => sqlFix('repair', `alter sequence ${sequence} as ${type} ${end}`);
  if (sequenceIsLimit) return [widen(TYPES[columnSize ?? 'int8'] ?? 'bigint')];
  if (columnSize === 'int8' || columnSize === null) return [];
  return [
    sqlFix('repair', `alter table ${table} alter column ${quoteIdentifier(column)} type bigint`),
    widen('bigint'),
  ];
}

function unseen(scene: Scene, some: readonly SequenceUse[], why: 'no_privilege' | 'locked'): Found {
  const { session, table } = scene;
  const names = some.map(({ sequence }) => sequence);
  const shown = `${names.slice(0, MOST_NAMED).join(', ')}${names.length > MOST_NAMED ? ', …' : ''}`;
  const { user, database } = session.server;
  const message =
    why === 'locked'
      ? `The last value of ${shown} could not be read: somebody locks it.`
      : `Role ${user} may not read the last value of ${names.length === 1 ? 'a sequence' : `${names.length} sequences`}: ${shown}.`;
  return {
    severity: 'unknown',
    object: table?.qualified ?? quoteIdentifier(database),
    message,
    evidence: {
      sequences: names.slice(0, MOST_NAMED),
      sequenceCount: names.length,
      needs: why === 'locked' ? 'the sequences unlocked' : 'USAGE or SELECT on the sequences',
    },
    fixes: [],
  };
}
