import { sql } from 'kysely';
import { readSource } from '../aggregates/source.ts';
import { readStatusFacts } from '../aggregates/status-read.ts';
import { type StatusView, viewStatus } from '../aggregates/status-view.ts';
import { SensordbError } from '../cli/errors.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { Found } from './check.ts';
import type { Scene } from './scene.ts';

/** What the run log says of a table's aggregates; instants as PostgreSQL prints them, null: never. */
interface AggregateRuns {
  /** When their triggers were made. */
  readonly setUpAt: string;
  /** The end of the last refresh or backfill that did all it had to. */
  readonly lastCounted: string | null;
  /** The end of the last verification that came to an answer, and whether it was that all is right. */
  readonly lastVerified: string | null;
  readonly lastVerifiedRight: boolean | null;
  /** The hours that it found to be wrong, the first of them at least, as ranges of ISO 8601 instants. */
  readonly wrong: readonly { readonly from: string; readonly to: string }[];
}

/** A table whose aggregates are kept, and how they are. */
export interface AggregatedTable {
  /** As SQL spells it. */
  readonly qualified: string;
  readonly view: StatusView;
  readonly runs: AggregateRuns;
}

/** The tables whose aggregates are kept, and those of which that cannot be told. */
export interface Aggregated {
  readonly tables: readonly AggregatedTable[];
  readonly unreadable: readonly Found[];
}

/** What is missing to see anything of aggregates; null: nothing. */
export function lacksOwnTables({
  capabilities,
  session,
}: Pick<Scene, 'capabilities' | 'session'>): string | null {
  if (capabilities.ownTables !== 'hidden') return null;
  return `USAGE on schema sensordb and SELECT on its tables for role ${session.server.user}`;
}

/** Reads how the aggregates of every table are of which any are kept; in a transaction. */
export async function readAggregated(scene: Scene): Promise<Aggregated> {
  const { session, now } = scene;
  const tables: AggregatedTable[] = [];
  const unreadable: Found[] = [];
  for (const { qualified, ...runs } of await readSources(scene)) {
    try {
      const source = await readSource(session, qualified);
      const facts = await readStatusFacts(session, source);
      const input = { source, facts, coverage: null, now, maxLagSeconds: null };
      if (facts !== null) tables.push({ qualified, view: viewStatus(input), runs });
    } catch (thrown) {
      // A column was renamed, or the aggregates dropped, since they were set up.
      if (!(thrown instanceof SensordbError) || thrown.exitCode !== EXIT.usage) throw thrown;
      unreadable.push({
        severity: 'unknown',
        object: qualified,
        message: thrown.message,
        evidence: {},
        fixes: [],
      });
    }
  }
  return { tables, unreadable };
}

type SourceRow = AggregateRuns & { readonly qualified: string };

async function readSources({ session, capabilities, table }: Scene): Promise<readonly SourceRow[]> {
  if (capabilities.ownTables !== 'all') return [];
  const { rows: found } = await sql<{ found: boolean }>`
    select to_regclass('sensordb.aggregate_source') is not null as found`.execute(session.db);
  if (found[0]?.found !== true) return [];
  const { rows } = await sql<SourceRow>`
    select format('%I.%I', n.nspname, c.relname) as qualified,
           s.set_up_at::text as "setUpAt",
           max(l.finished_at) filter (where l.exit_code = 0 and l.command <> 'aggregates verify')::text as "lastCounted",
           max(l.finished_at) filter (where l.exit_code in (0, 3) and l.command = 'aggregates verify')::text as "lastVerified",
           (array_agg(l.exit_code = 0 order by l.id desc) filter (where l.exit_code in (0, 3) and l.command = 'aggregates verify'))[1]
             as "lastVerifiedRight",
           coalesce((array_agg(l.result -> 'wrong' order by l.id desc) filter (where l.exit_code in (0, 3) and l.command = 'aggregates verify'))[1],
                    '[]') as wrong
      from sensordb.aggregate_source s
      join pg_class c on c.oid = s.readings
      join pg_namespace n on n.oid = c.relnamespace
      left join sensordb.run_log l
        on l.table_schema = n.nspname and l.table_name = c.relname
       and l.command in ('aggregates refresh', 'aggregates backfill', 'aggregates verify')
     where ${table === null ? sql`true` : sql`c.oid = ${String(table.oid)}::oid`}
     group by c.oid, n.nspname, c.relname, s.set_up_at
     order by 1`.execute(session.db);
  return rows;
}
