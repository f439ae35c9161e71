import { sql } from 'kysely';
import { AGGREGATES_LOCK_CLASS } from '../db/lock.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { BEGINNING, END } from '../time/instant.ts';
import { multirangeOf, type RangeRow, readRanges } from './hour-ranges.ts';
import { inSnapshot } from './snapshot.ts';
import type { Source } from './source.ts';
import { type HeldLeaf, readHeldLeaves } from './status-leaves.ts';
import { type MemberTrigger, readTroubledTriggers } from './status-triggers.ts';

/** What stands in sensordb's own tables about a source, at one moment. */
export interface StatusFacts {
  readonly ranges: readonly RangeRow[];
  readonly totals: Totals;
  readonly leaves: readonly HeldLeaf[];
  readonly triggers: readonly MemberTrigger[];
  readonly runs: readonly RunRow[];
}

interface Totals {
  readonly cleanUntil: string;
  /** The hour before which changes are logged. */
  readonly gate: string | null;
  /** Device-hours that the log of changes names, but for those whose raw rows have gone. */
  readonly dirtyHours: number;
  readonly firstDirty: string | null;
  /** Device-hours that changed after their raw rows had gone: in the list of those, and in the log. */
  readonly skippedHours: number;
}

/** The last run of a command that counts. */
export interface RunRow {
  readonly command: string;
  readonly startedAt: string;
  /** Null: it is running, or was killed. */
  readonly finishedAt: string | null;
  readonly exitCode: number | null;
  readonly isRunning: boolean;
}

/** Tells whether a run has finished, is at work, or was killed. */
export function stateOf({ finishedAt, isRunning }: RunRow): 'finished' | 'running' | 'killed' {
  if (finishedAt !== null) return 'finished';
  return isRunning ? 'running' : 'killed';
}

/** Reads what is known of a source: five queries, whatever the number of leaves; waits for no lock. Null: never set up. */
export async function readStatus(session: Session, source: Source): Promise<StatusFacts | null> {
  try {
    return await inSnapshot(session, source, () => readStatusFacts(session, source));
  } catch (thrown) {
    // Sensordb's own tables are not there yet, or older than this sensordb.
    if (sqlstateOf(thrown) === SQLSTATE.undefinedTable) return null;
    throw thrown;
  }
}

/** Reads the same in the transaction that is open; sensordb's own tables have to be there. */
export async function readStatusFacts(session: Session, source: Source): Promise<StatusFacts | null> {
  const ranges = await readRanges(session, source, { lower: BEGINNING, upper: END });
  const totals = await readTotals(session, source, multirangeOf(ranges, 'retired'));
  if (totals === null) return null;
  return {
    ranges,
    totals,
    leaves: await readHeldLeaves(session, source, ranges),
    triggers: await readTroubledTriggers(session, source),
    runs: await readRuns(session, source),
  };
}

async function readTotals(session: Session, { table }: Source, retired: string): Promise<Totals | null> {
  const { rows } = await sql<Totals>`
    with source as materialized (
      select s.*, ${retired}::tstzmultirange as retired
        from sensordb.aggregate_source s where s.readings = ${String(table.oid)}::oid
    ),
    changed as (
      select c.device_id, c.hour, s.retired @> c.hour as is_retired
        from source s join sensordb.aggregate_change c on c.source_id = s.id
       group by 1, 2, 3
    )
    select s.clean_until::text as "cleanUntil",
           to_timestamp(pg_sequence_last_value(s.gate)::float8 * 3600)::text as gate,
           (select count(*)::float8 from changed c where not c.is_retired) as "dirtyHours",
           (select min(c.hour)::text from changed c where not c.is_retired) as "firstDirty",
           (select count(*)::float8 from (
             select k.device_id, k.hour from sensordb.aggregate_skipped k where k.source_id = s.id
             union select c.device_id, c.hour from changed c where c.is_retired) k) as "skippedHours"
      from source s`.execute(session.db);
  return rows[0] ?? null;
}

async function readRuns(session: Session, { table }: Source): Promise<readonly RunRow[]> {
  const { rows } = await sql<RunRow>`
    with last as (
      select distinct on (r.command) r.id, r.command, r.started_at, r.finished_at, r.exit_code
        from sensordb.run_log r
       where r.command in ('aggregates refresh', 'aggregates backfill')
         and r.table_schema = ${table.schema} and r.table_name = ${table.name}
       order by r.command, r.id desc
    )
    select l.command, l.started_at::text as "startedAt", l.finished_at::text as "finishedAt", l.exit_code as "exitCode",
           -- They exclude each other: of two that have no end only the later can be running still.
           l.finished_at is null and l.id = max(l.id) filter (where l.finished_at is null) over ()
             and exists (
               select from pg_locks k
                where k.locktype = 'advisory' and k.granted and k.objsubid = 2
                  and k.classid = ${String(AGGREGATES_LOCK_CLASS)}::oid and k.objid = ${String(table.oid)}::oid
                  and k.database = (select d.oid from pg_database d where d.datname = current_database())) as "isRunning"
      from last l order by l.command desc`.execute(session.db);
  return rows;
}
