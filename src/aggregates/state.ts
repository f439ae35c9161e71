import { sql } from 'kysely';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import type { Source } from './source.ts';

/** What is known of a source at one moment. Hours are whole hours since 1970-01-01T00:00:00Z. */
export interface SourceState {
  /** Names the source in sensordb's own tables and in its triggers. */
  readonly id: string;
  /** Null: it was never set up. */
  readonly cleanUntilHour: number | null;
  /** Changes before this hour are logged; null before the setup. */
  readonly gateHour: number | null;
  /** How many of the three triggers stand on the table, and fire always. */
  readonly triggers: number;
  /** Some partition came, went, or looks otherwise than it did. */
  readonly leavesMoved: boolean;
  readonly hasPending: boolean;
  readonly hasChanges: boolean;
}

interface StateRow {
  readonly id: string;
  readonly cleanUntilHour: number;
  readonly gateHour: number;
  readonly leavesMoved: boolean;
  readonly hasPending: boolean;
  readonly hasChanges: boolean;
  readonly triggers: number;
}

/** Reads what is known of a source: one query, whatever the number of leaves; it waits for no lock. */
export async function readSourceState(session: Session, { table }: Source): Promise<SourceState> {
  const unknown: SourceState = {
    id: String(table.oid),
    cleanUntilHour: null,
    gateHour: null,
    triggers: 0,
    leavesMoved: true,
    hasPending: false,
    hasChanges: false,
  };
  try {
    return (await reading(session, () => readRow(session, table.oid))) ?? unknown;
  } catch (thrown) {
    // Sensordb's own tables are not there yet, or older than this sensordb.
    if (sqlstateOf(thrown) === SQLSTATE.undefinedTable) return unknown;
    throw thrown;
  }
}

async function readRow(session: Session, oid: number): Promise<StateRow | undefined> {
  const { rows } = await sql<StateRow>`
    select s.id::text as id,
           (extract(epoch from s.clean_until) / 3600)::int as "cleanUntilHour",
           pg_sequence_last_value(s.gate)::int as "gateHour",
           (select count(*)::int from pg_trigger g
             where g.tgrelid = s.readings and g.tgfoid = to_regproc('sensordb.log_change') and g.tgenabled = 'A'
               and g.tgname in ('sensordb_change_insert', 'sensordb_change_update', 'sensordb_change_delete')) as triggers,
           exists (
             select from sensordb.aggregate_leaves(s.readings) l
               full join (select k.* from sensordb.aggregate_leaf k where k.source_id = s.id) k on k.leaf_oid = l.leaf_oid
              where l.fingerprint is null or k.fingerprint is distinct from l.fingerprint) as "leavesMoved",
           exists (select from sensordb.aggregate_pending p where p.source_id = s.id) as "hasPending",
           exists (select from sensordb.aggregate_change c where c.source_id = s.id) as "hasChanges"
      from sensordb.aggregate_source s
     where s.readings = ${String(oid)}::oid`.execute(session.db);
  return rows[0];
}
