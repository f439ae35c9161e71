import { quoteIdentifier } from '../../db/quote.ts';
import { groupBy } from '../../partitions/drift.ts';
import { fromDate, type Instant } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import { sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';
import { readTimeTables } from '../time-tables.ts';
import { ripeAt, type VacuumFacts, vacuumFix } from '../vacuum-facts.ts';
import { readVacuumScene } from '../vacuum-read.ts';

const MOST_NAMED = 5;
const HOUR = 3_600_000_000;

/** Finds tables and partitions to which autovacuum should have come, and did not or never will. */
export const autovacuumLag: Check = {
  name: 'autovacuum_lag',
  area: 'tables',
  finds:
    'tables and partitions that autovacuum leaves alone for too long, or that it was told to leave alone',
  explanation: `VACUUM takes dead rows away, marks the pages that index-only scans need not look at, and has BRIN indexes summarize
what is new. Autovacuum sees to that, unless it is off, is off for a table, has too much to do, or knows of nothing to do.

Four things are reported. Autovacuum or the statistics that it goes by are off. It is off for a table or partition (or its TOAST)
by a storage parameter, often since a bulk load: one that is all visible and has not changed since is left out, for nothing is
to be done there. Dead or inserted rows exceed by far the number at which it should come: that it is for long is sure only if
they were there at the last ANALYZE, and that is hours ago. And partitions that are over and whose pages were never marked,
with too little that is known to be new for autovacuum ever to come: a crash or a reset of the statistics has it forget.

Rows that nobody has analyzed since they were written cannot be dated: then the check says that it cannot tell yet.`,
  thresholds: {
    ratio: {
      value: 2,
      unit: 'times the rows at which autovacuum comes',
      source: 'at once the number it is on its way',
    },
    minimum_rows: { value: 10_000, unit: 'rows', source: 'some hundred pages, which cost nobody anything' },
    hours: {
      value: 3,
      unit: 'hours since the last ANALYZE',
      source: 'autovacuum comes by every minute (autovacuum_naptime), and a VACUUM may take its time',
    },
    never_pages: { value: 1000, unit: 'pages never marked', source: '8 MB, which a scan notices' },
  },
  opens: false,
  look: async (scene) => {
    const vacuum = await readVacuumScene(scene);
    const now = fromDate(scene.now);
    const over = new Set(
      (await readTimeTables(scene)).flatMap(({ leaves }) =>
        leaves.filter(({ range }) => range.upper <= now).map(({ oid }) => oid),
      ),
    );
    const tables = vacuum.tables.map((facts) => ({ facts, case: caseOf(scene, facts, over, now) }));
    const of = (wanted: Case): readonly (readonly [string, readonly VacuumFacts[]])[] => [
      ...groupBy(
        tables.filter((one) => one.case === wanted).map(({ facts }) => facts),
        ({ root }) => root,
      ),
    ];
    const found = [
      ...(vacuum.settingsOff.length > 0 ? [settingsOff(scene, vacuum.settingsOff)] : []),
      ...of('disabled').map((group) => disabled(...group)),
      ...of('late').map((group) => late(...group)),
      ...of('never').map((group) => never(...group)),
    ];
    const undated = tables.some((one) => one.case === 'undated') ? null : undefined;
    const ripe = ripeAt(vacuum, now) ?? undated;
    return ripe === undefined ? { found } : { found, ripeAt: ripe };
  },
};

type Case = 'disabled' | 'late' | 'undated' | 'never' | 'fine';

function caseOf(scene: Scene, facts: VacuumFacts, over: ReadonlySet<number>, now: Instant): Case {
  const { pages, visiblePages, dead, insertedSince, vacuumedAt, analyzedAt } = facts;
  if (facts.isDisabled || facts.isToastDisabled) {
    const isDone = pages > 0 && visiblePages >= pages && dead === 0 && insertedSince === 0;
    return isDone ? 'fine' : 'disabled';
  }
  const limit = scene.threshold('hours') * HOUR;
  const isOld = (at: Instant | null): boolean => at !== null && Number(now - at) >= limit;
  if (isBehind(scene, facts, 0)) {
    if (facts.isBeingVacuumed || (vacuumedAt !== null && !isOld(vacuumedAt))) return 'fine';
    if (!isBehind(scene, facts, facts.changedSince) || analyzedAt === null) return 'undated';
    return isOld(analyzedAt) ? 'late' : 'fine';
  }
  const isMarked = visiblePages >= 0.1 * pages || pages < scene.threshold('never_pages');
  return !isMarked && vacuumedAt === null && over.has(facts.oid) ? 'never' : 'fine';
}

/** Tells whether far too many rows wait for VACUUM, even without the newest of them. */
function isBehind(scene: Scene, facts: VacuumFacts, newest: number): boolean {
  const { dead, vacuumAt, insertedSince, insertAt } = facts;
  const exceeds = (rows: number, at: number): boolean =>
    rows - newest >= scene.threshold('minimum_rows') && rows - newest > scene.threshold('ratio') * at;
  return exceeds(dead, vacuumAt) || (insertAt !== null && exceeds(insertedSince, insertAt));
}

function settingsOff(scene: Scene, names: readonly string[]): Found {
  return {
    severity: 'critical',
    object: quoteIdentifier(scene.session.server.database),
    message: `${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} off: nothing is vacuumed or analyzed but by hand, until transaction IDs run out.`,
    evidence: { settings: names },
    fixes: [
      ...names.map((name) => sqlFix('setting', `alter system set ${name} to on`)),
      sqlFix('setting', 'select pg_reload_conf()'),
    ],
  };
}

function describe(tables: readonly VacuumFacts[]): string {
  const [first] = tables;
  if (first?.isPartition !== true) return 'it';
  const named = tables.slice(0, MOST_NAMED).map(({ qualified }) => qualified);
  return `${tables.length} of its partitions (${named.join(', ')}${tables.length > MOST_NAMED ? ', …' : ''})`;
}

function found(root: string, tables: readonly VacuumFacts[], kind: string) {
  const names = tables.map(({ qualified }) => qualified);
  return {
    severity: 'warning',
    object: root,
    key: kind,
    evidence: { kind, tables: names.slice(0, MOST_NAMED), tableCount: names.length },
    fixes: [vacuumFix(root, names)],
  } as const;
}

function disabled(root: string, tables: readonly VacuumFacts[]): Found {
  return {
    ...found(root, tables, 'disabled'),
    message: `Autovacuum is told to leave ${describe(tables)} alone: dead rows stay, and statistics age.`,
    fixes: tables.map(({ qualified, isDisabled, isToastDisabled }) => {
      const names = [
        ...(isDisabled ? ['autovacuum_enabled'] : []),
        ...(isToastDisabled ? ['toast.autovacuum_enabled'] : []),
      ];
      return sqlFix('setting', `alter table ${qualified} reset (${names.join(', ')})`);
    }),
  };
}

function late(root: string, tables: readonly VacuumFacts[]): Found {
  const sum = (key: 'dead' | 'insertedSince'): number => tables.reduce((total, one) => total + one[key], 0);
  const common = found(root, tables, 'late');
  return {
    ...common,
    message: `Autovacuum should have come to ${describe(tables)} hours ago: ${sum('dead')} dead rows and ${sum('insertedSince')} new ones wait for it.`,
    evidence: { ...common.evidence, deadRows: sum('dead'), insertedRows: sum('insertedSince') },
  };
}

function never(root: string, tables: readonly VacuumFacts[]): Found {
  return {
    ...found(root, tables, 'never'),
    message: `No VACUUM has come to ${describe(tables)}, and autovacuum knows of nothing to do there: index-only scans and BRIN indexes are of little use.`,
  };
}
