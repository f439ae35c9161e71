import { describeAge } from '../../aggregates/age.ts';
import { formatInstant, formatInstantShort, type Instant } from '../../time/instant.ts';
import { type AggregatedTable, lacksOwnTables, readAggregated } from '../aggregates.ts';
import type { Check, Found } from '../check.ts';
import { commandFix, shellWord } from '../fix.ts';
import type { Scene } from '../scene.ts';

/** Finds aggregates that nobody has brought up to date for long. */
export const aggregatesBehind: Check = {
  name: 'aggregates_behind',
  area: 'aggregates',
  finds: 'hourly aggregates that nobody has brought up to date for long',
  explanation: `Aggregates say what the readings said when "sensordb aggregates refresh" ran last. Until it runs again, hours that are over since,
and hours in which something changed, are wrong or missing, and retention refuses the leaves that they lie in.

Told by the run log: no refresh or backfill has succeeded for long, and there is something to count: readings since, late changes, or
whole ranges. A table to which nothing is written is never behind.`,
  thresholds: {
    warning_hours: {
      value: 26,
      unit: 'hours',
      source: 'A refresh that cron runs once a day has missed its turn',
    },
    critical_hours: {
      value: 168,
      unit: 'hours',
      source: 'A week: whoever reads them is misled, and retention stands still',
    },
  },
  opens: true,
  lacks: lacksOwnTables,
  look: async (scene) => {
    const { tables, unreadable } = await readAggregated(scene);
    const found: Found[] = [...unreadable];
    for (const table of tables) found.push(...(await judge(scene, table)));
    return { found };
  },
};

async function judge(scene: Scene, { qualified, view, runs }: AggregatedTable): Promise<readonly Found[]> {
  const last = runs.lastCounted;
  const hours =
    last === null ? null : (scene.now.getTime() - Date.parse(`${last.slice(0, 19)}Z`)) / 3_600_000;
  if (hours !== null && hours < scene.threshold('warning_hours')) return [];
  const dirty = view.dirtyHours ?? 0;
  const isPending = dirty > 0 || view.pending.length > 0;
  if (!isPending && !(await hasReadingsSince(scene, qualified, view.gate))) return [];
  const [ever, since] = hours === null ? ['ever ', ''] : ['', ` for ${describeAge(hours * 3600)}`];
  const clean = view.cleanUntil === null ? 'from no hour on' : `until ${formatInstantShort(view.cleanUntil)}`;
  return [
    {
      severity: (hours ?? 0) >= scene.threshold('critical_hours') ? 'critical' : 'warning',
      object: qualified,
      message: `No run has ${ever}brought the aggregates of ${qualified} up to date${since}: they are right ${clean}.`,
      evidence: {
        lastCounted: last === null ? null : `${last.slice(0, 10)}T${last.slice(11, 19)}Z`,
        cleanUntil: view.cleanUntil === null ? null : formatInstant(view.cleanUntil),
        dirtyHours: dirty,
        pendingRanges: view.pending.length,
      },
      fixes: [commandFix('aggregate', `sensordb aggregates refresh --table ${shellWord(qualified)}`)],
    },
  ];
}

/** Tells whether there are readings of hours that are over, and that no refresh has seen. */
async function hasReadingsSince(
  { session, locked, now }: Scene,
  qualified: string,
  gate: Instant | null,
): Promise<boolean> {
  if (gate === null) return true;
  // Literal bounds, which keep PostgreSQL to the leaves of that time. A table that is locked is reported by itself.
  const { rows } = await session.run<{ found: boolean }>(`
    select exists (select from ${qualified} r
                    where r."timestamp" >= '${formatInstant(gate)}' and r."timestamp" < '${now.toISOString().slice(0, 13)}:00Z') as found
     where not exists (select from pg_inherits i where i.inhparent = '${qualified.replaceAll("'", "''")}'::regclass
                        and i.inhrelid = any ('${locked}'::oid[]))`);
  return rows[0]?.found === true;
}
