import type { Runway } from '../../partitions/coverage.ts';
import { describeRunway, runwayData } from '../../partitions/runway.ts';
import { BEGINNING, END, fromDate, type Instant } from '../../time/instant.ts';
import type { Check, Found, Severity } from '../check.ts';
import { ensureAhead, ensureRange, leafLength } from '../ensure-fix.ts';
import { type Fix, sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';
import { lacksIn, outermost, runwayAt, type TimeTables } from '../time-coverage.ts';
import type { TimeTable } from '../time-table.ts';
import { readTimeTables } from '../time-tables.ts';

const DAY = 86_400_000_000n;

/** Finds tables partitioned by time that have no partition for the present, or soon will have none. */
export const runway: Check = {
  name: 'runway',
  area: 'partitions',
  finds: 'tables partitioned by time whose partitions do not reach far enough into the future',
  explanation: `A row whose time no partition covers fails with SQLSTATE 23514, "no partition of relation found for row"; with a
DEFAULT partition it goes there, where no query prunes it away and it stands in the way of the partition that it belongs into.

The runway is the time from now on for which every row of the present finds a partition other than DEFAULT: a gap ends it, even
if there are partitions behind the gap; a partition up to MAXVALUE makes it unbounded. Partitions that are partitioned by the
same column themselves are looked into. Read from the bounds in the catalog, in UTC, by the clock of this machine.

Where partitions are short, a week ahead is more than most people make: the notice is then a number of partitions instead.
A table whose partitions all ended long ago is taken for an archive, which nobody writes to, and is only noted.`,
  thresholds: {
    critical_days: {
      value: 2,
      unit: 'days',
      source:
        'a weekend; check_postgres partman_premake gives 1 day and 3 days for its critical and its warning',
    },
    warning_days: { value: 7, unit: 'days', source: 'a week of work to notice that maintenance has stopped' },
    critical_leaves: { value: 0.5, unit: 'partitions', source: 'half a day for daily ones' },
    warning_leaves: {
      value: 2,
      unit: 'partitions',
      source: "half of pg_partman's default premake, which is 4",
    },
    archive_days: {
      value: 90,
      unit: 'days',
      source: 'inserts that fail for a quarter of a year are inserts that nobody makes',
    },
  },
  opens: false,
  look: async (scene) => {
    const tables = await readTimeTables(scene);
    return { found: outermost(tables).flatMap((table) => judge(scene, tables, table) ?? []) };
  },
};

function judge(scene: Scene, tables: TimeTables, table: TimeTable): Found | null {
  const now = fromDate(scene.now);
  const found = runwayAt(table, now);
  if (found === null || found.state === 'unbounded') return null;
  const archived = isArchive(scene, table, now);
  const severity = archived ? 'info' : severityOf(scene, table, found, now);
  if (severity === null) return null;
  const hasDefault = table.default !== null;
  const days = found.state === 'until' ? Number((found.until - now) / DAY) : 0;
  const note = archived ? ' All its partitions ended long ago: it looks like an archive.' : '';
  return {
    severity,
    object: table.qualified,
    message: `${describeRunway(found, now, hasDefault)}${note}`,
    evidence: { ...runwayData(found), days, hasDefault, leaves: table.leaves.length },
    fixes: archived ? [] : fixesOf(tables, table, found, now),
  };
}

function severityOf(scene: Scene, table: TimeTable, found: Runway, now: Instant): Severity | null {
  if (found.state !== 'until') return 'critical';
  const left = Number(found.until - now);
  const length = leafLength(table);
  const notice = (name: 'critical' | 'warning'): number => {
    const byDays = scene.threshold(`${name}_days`) * Number(DAY);
    if (length === null) return byDays;
    return Math.min(byDays, scene.threshold(`${name}_leaves`) * Number(length));
  };
  if (left < notice('critical')) return 'critical';
  return left < notice('warning') ? 'warning' : null;
}

function isArchive(scene: Scene, table: TimeTable, now: Instant): boolean {
  if (table.leaves.length === 0) return false;
  return Number(now - leavesEnd(table)) > scene.threshold('archive_days') * Number(DAY);
}

function fixesOf(tables: TimeTables, table: TimeTable, found: Runway, now: Instant): readonly Fix[] {
  const edge = found.state === 'until' ? found.until : now;
  const finalize = tables.flatMap((one) =>
    one.leaves
      .filter(({ range, state }) => state === 'detach_pending' && range.lower <= edge && edge < range.upper)
      .filter(() => one === table || one.above === table.oid)
      .map(({ qualified }) =>
        sqlFix('finalize', `alter table ${one.qualified} detach partition ${qualified} finalize`),
      ),
  );
  if (table.extent.upper !== END) {
    const lacks = lacksIn(table, { lower: edge, upper: table.extent.upper });
    return [...finalize, ...lacks.flatMap((lack) => ensureRange(tables, lack))];
  }
  const upper = leavesEnd(table);
  const lacks = upper <= edge ? [] : lacksIn(table, { lower: edge, upper });
  const below = lacks.filter((lack) => lack.table !== table);
  return below.some(({ range }) => range.lower === edge)
    ? [...finalize, ...below.flatMap((lack) => ensureRange(tables, lack))]
    : [...finalize, ...ensureAhead(table)];
}

function leavesEnd({ leaves }: TimeTable): Instant {
  return leaves.reduce((last, { range }) => (range.upper > last ? range.upper : last), BEGINNING);
}
