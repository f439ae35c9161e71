import { qualifiedName } from '../../db/quote.ts';
import { refusalOf } from '../../partitions/drain-plan.ts';
import { readDrainFacts } from '../../partitions/drain-read.ts';
import { fitName } from '../../partitions/names.ts';
import { formatInstant, formatInstantShort, fromDate } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import { type Reach, reachOf } from '../default-reach.ts';
import {
  type DefaultContent,
  type DefaultHindrance,
  readContents,
  readHindrances,
  type WithDefault,
} from '../default-rows.ts';
import { ensureHoles, tableWords } from '../ensure-fix.ts';
import { commandFix, type Fix, shellWord } from '../fix.ts';
import type { Scene } from '../scene.ts';
import type { TimeTables } from '../time-coverage.ts';
import { readTimeTables } from '../time-tables.ts';

/** Finds rows in DEFAULT partitions of tables partitioned by time. */
export const defaultRows: Check = {
  name: 'default_rows',
  area: 'partitions',
  finds: 'rows in the DEFAULT partition of a table partitioned by time',
  explanation: `Rows in DEFAULT are read by every query that names a time outside of the partitions, are taken by no retention, and
keep the partition that they belong into from being made: ATTACH refuses it, and scans all of DEFAULT under ACCESS EXCLUSIVE.

The rows are counted up to 100,001, which needs SELECT on DEFAULT. Rows before the year 2000 or more than ten years ahead, infinite
times, and no time at all are told apart, for no partition should exist for them: they come from clocks that were never set, and
the drain moves them into an ordinary table of their own. So it does, as it is printed here, with rows that lie beyond more than a year
in which there is no partition and no other row: leaves for them would leave a hole there. Shorter holes are filled with partitions.
DEFAULT partitions of lists are left alone: rows are at home there.`,
  thresholds: {},
  opens: true,
  look: async (scene) => {
    const tables = await readTimeTables(scene);
    const all = tables.flatMap((table): readonly WithDefault[] =>
      table.default === null ? [] : [{ table, byDefault: table.default }],
    );
    if (all.length === 0) return { found: [] };
    const hindrances = await readHindrances(scene, all);
    const contents = await readContents(
      scene,
      all.filter(({ byDefault }) => !hindrances.has(byDefault.oid)),
    );
    const byOid = new Map(contents.map((content) => [content.oid, content]));
    const found: Found[] = [];
    for (const one of all) {
      const why = hindrances.get(one.byDefault.oid);
      const content = byOid.get(one.byDefault.oid);
      const missed = why === undefined ? null : unseen(scene, one, why);
      if (missed !== null) found.push(missed);
      if (why !== undefined || content === undefined || content.rows === 0) continue;
      const facts = await readDrainFacts(scene.session, one.table, one.byDefault);
      found.push(
        judge(scene, tables, { ...one, content, refusal: refusalOf(one.byDefault.qualified, facts) }),
      );
    }
    return { found };
  },
};

/** A DEFAULT with rows, and why the drain would leave them there. */
interface Filled extends WithDefault {
  readonly content: DefaultContent;
  readonly refusal: ReturnType<typeof refusalOf>;
}

function judge(scene: Scene, tables: TimeTables, filled: Filled): Found {
  const { table, byDefault, content, refusal } = filled;
  const { rows, isMore, insane, earliest, latest } = content;
  const reach = reachOf(table, content.periods, fromDate(scene.now));
  const count = `${isMore ? 'more than ' : ''}${isMore ? rows - 1 : rows} ${rows === 1 ? 'row' : 'rows'}`;
  const span =
    earliest === null || latest === null
      ? ''
      : `, of ${formatInstantShort(earliest)} to ${formatInstantShort(latest)}`;
  const stray =
    insane === 0 ? '' : ` No partition should exist for ${insane === rows ? 'any' : insane} of them.`;
  const far =
    reach.farRows === 0
      ? ''
      : ` ${reach.farRows} of them ${reach.farRows === 1 ? 'lies' : 'lie'} beyond more than a year without any, as those of a wrong clock do.`;
  return {
    severity: 'warning',
    object: table.qualified,
    message: `${byDefault.qualified} holds ${count}${span}.${stray}${far}${isDrained(filled) && refusal !== null ? ` They cannot be moved as it is: ${refusal.message} ${refusal.hint}` : ''}`,
    evidence: {
      default: byDefault.qualified,
      rows,
      isExact: !isMore,
      rowsForNoPartition: insane,
      rowsFarAway: reach.farRows,
      earliest: earliest === null ? null : formatInstant(earliest),
      latest: latest === null ? null : formatInstant(latest),
    },
    fixes: isDrained(filled) && refusal === null ? fixesOf(tables, filled, reach) : [],
  };
}

/** The drain takes a plain DEFAULT alone. */
function isDrained({ table, byDefault }: WithDefault): boolean {
  return table.isManaged && byDefault.relkind === 'r';
}

function fixesOf(
  tables: TimeTables,
  { table, content: { insane, isMore } }: Filled,
  { notBefore, notAfter, farRows, holes }: Reach,
): readonly Fix[] {
  const aside = qualifiedName(table.schema, fitName(table.name, '_quarantine'));
  const words = [
    tableWords(table),
    ...(notBefore === null ? [] : [`--not-before ${formatInstantShort(notBefore)}`]),
    ...(notAfter === null ? [] : [`--not-after ${formatInstantShort(notAfter)}`]),
    ...(insane + farRows > 0 || isMore ? [`--quarantine ${shellWord(aside)}`] : []),
  ];
  return [
    commandFix('partition', `sensordb partitions drain ${words.join(' ')}`),
    ...holes.flatMap((some) => ensureHoles(tables, table, some)),
  ];
}

function unseen(scene: Scene, { table, byDefault }: WithDefault, why: DefaultHindrance): Found | null {
  // The run reports what is locked.
  if (why === 'locked') return null;
  const { user } = scene.session.server;
  const { qualified } = byDefault;
  const [reason, needs] = {
    foreign: [`${qualified} is a foreign table, which is not read.`, 'a look at the other server'],
    no_select: [`Role ${user} may not read ${qualified}.`, `SELECT on ${qualified}`],
    row_security: [
      `Row security hides rows of ${qualified} from role ${user}.`,
      `BYPASSRLS, or the owner of ${qualified}`,
    ],
  }[why] as [string, string];
  return {
    severity: 'unknown',
    object: table.qualified,
    message: `The rows in DEFAULT could not be counted. ${reason}`,
    evidence: { default: qualified, needs },
    fixes: [],
  };
}
