import { qualifiedName } from '../../db/quote.ts';
import { holesIn } from '../../partitions/coverage.ts';
import { refusalOf, usualSaneRange } from '../../partitions/drain-plan.ts';
import { readDrainFacts, type Sane } from '../../partitions/drain-read.ts';
import { fitName } from '../../partitions/names.ts';
import { formatInstant, formatInstantShort, fromDate, type Instant } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import { type Reach, reachOf } from '../default-reach.ts';
import {
  type DefaultContent,
  type DefaultHindrance,
  readContents,
  readHindrances,
  type WithDefault,
} from '../default-rows.ts';
import { ensureHoles, intervalOfCommands, tableWords } from '../ensure-fix.ts';
import { commandFix, type Fix, shellWord } from '../fix.ts';
import { type Orphan, readOrphans } from '../orphans.ts';
import type { Scene } from '../scene.ts';
import type { TimeTables } from '../time-coverage.ts';
import type { TimeTable } from '../time-table.ts';
import { readTimeTables } from '../time-tables.ts';

/** Finds rows in DEFAULT partitions of tables partitioned by time. */
export const defaultRows: Check = {
  name: 'default_rows',
  area: 'partitions',
  finds: 'rows in the DEFAULT partition of a table partitioned by time',
  explanation: `Rows in DEFAULT are read by every query that names a time outside of the partitions, are taken by no retention, and
keep the partition that they belong into from being made: ATTACH refuses it, and scans all of DEFAULT under ACCESS EXCLUSIVE.

The rows are counted up to 100,001, which needs SELECT on DEFAULT; of more only those are judged. Rows before the year 2000 or more
than ten years ahead, infinite times, and no time at all are told apart, for no partition should exist for them: they come from clocks
that were never set, and a drain of its own moves them into an ordinary table, which takes them out of this one: a script of fixes runs
that only with consent. Rows that lie beyond more than a year in which there is no partition and no other row may be of a wrong clock,
or a backfill: those the fix leaves where they are, and the finding names both commands. Shorter holes are filled with partitions, but
for those that a detached partition fills again.
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
    const filled: Filled[] = [];
    for (const one of all) {
      const why = hindrances.get(one.byDefault.oid);
      const content = byOid.get(one.byDefault.oid);
      const missed = why === undefined ? null : unseen(scene, one, why);
      if (missed !== null) found.push(missed);
      if (why !== undefined || content === undefined || content.rows === 0) continue;
      const facts = await readDrainFacts(scene.session, one.table, one.byDefault);
      const reach = reachOf(one.table, content.periods, fromDate(scene.now));
      const refusal = refusalOf(one.byDefault.qualified, facts);
      const sane = usualSaneRange(intervalOfCommands(one.table), fromDate(scene.now));
      filled.push({ ...one, content, reach, sane, refusal });
    }
    const orphans = filled.some(({ reach }) => reach.holes.flat().length > 0) ? await readOrphans(scene) : [];
    for (const one of filled) found.push(judge(tables, orphans, one));
    return { found };
  },
};

/** A DEFAULT with rows, and why the drain would leave them there. */
interface Filled extends WithDefault {
  readonly content: DefaultContent;
  readonly reach: Reach;
  readonly sane: Sane;
  readonly refusal: ReturnType<typeof refusalOf>;
}

function judge(tables: TimeTables, orphans: readonly Orphan[], filled: Filled): Found {
  const { table, byDefault, content, reach, refusal } = filled;
  const { rows, isMore, insane, earliest, latest } = content;
  const count = `${isMore ? 'more than ' : ''}${isMore ? rows - 1 : rows} ${rows === 1 ? 'row' : 'rows'}`;
  const span =
    earliest === null || latest === null
      ? ''
      : `, of ${formatInstantShort(earliest)} to ${formatInstantShort(latest)}`;
  const stray =
    insane === 0
      ? ''
      : ` No partition should exist for ${insane === rows ? 'any' : insane} of them: --quarantine takes them out of the table.`;
  const isMendable = isDrained(filled) && refusal === null;
  const far = reach.farRows === 0 ? '' : ` ${describeFar(filled, isMendable)}`;
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
    fixes: isMendable ? fixesOf(tables, orphans, filled) : [],
  };
}

/** The drain takes a plain DEFAULT alone. */
function isDrained({ table, byDefault }: WithDefault): boolean {
  return table.isManaged && byDefault.relkind === 'r';
}

/** Rows far from all others are for somebody to judge who knows them: nothing is printed that moves them by itself. */
function describeFar(
  { table, reach: { farRows, notBefore, notAfter } }: Filled,
  isMendable: boolean,
): string {
  const lie = `${farRows} of them ${farRows === 1 ? 'lies' : 'lie'} beyond more than a year without any.`;
  if (!isMendable) return lie;
  const ends = [...end('--not-before', notBefore), ...end('--not-after', notAfter)];
  return `${lie} Where a wrong clock made ${farRows === 1 ? 'it' : 'them'}, move ${farRows === 1 ? 'it' : 'them'} out of the table: ${drain(table, [...ends, quarantine(table)])}. Where ${farRows === 1 ? 'it is' : 'they are'} right, make partitions: ${drain(table, [])}.`;
}

const end = (option: string, at: Instant | null): readonly string[] =>
  at === null ? [] : [`${option} ${formatInstantShort(at)}`];

const quarantine = (table: TimeTable): string =>
  `--quarantine ${shellWord(qualifiedName(table.schema, fitName(table.name, '_quarantine')))}`;

const drain = (table: TimeTable, words: readonly string[]): string =>
  `sensordb partitions drain ${[tableWords(table), ...words].join(' ')}`;

function fixesOf(
  tables: TimeTables,
  orphans: readonly Orphan[],
  { table, content, sane, reach: { notBefore, notAfter, farRows, holes } }: Filled,
): readonly Fix[] {
  const { rows, insane, isMore } = content;
  // Without these the drain reports what no partition should exist for, and exits 3.
  const isBounded = farRows + insane > 0 || isMore;
  const [from, until] = isBounded ? [notBefore ?? sane.lower, notAfter ?? sane.upper] : [null, null];
  const near = drain(table, [...end('--from', from), ...end('--until', until)]);
  // A detached partition fills the hole better, and could not be attached beside a new one.
  const taken = orphans.flatMap((orphan) => (orphan.table === table ? (orphan.range ?? []) : []));
  return [
    ...(rows === farRows + insane ? [] : [commandFix('partition', near)]),
    // Nobody sees them in the table any more: that is for somebody to agree to.
    ...(insane > 0 && farRows === 0
      ? [{ ...commandFix('partition', drain(table, [quarantine(table)])), isIrreversible: true as const }]
      : []),
    ...holes.flatMap((some) => {
      const free = some.flatMap((hole) => holesIn(hole, taken));
      return ensureHoles(tables, table, free, { atOnce: taken.length === 0 });
    }),
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
