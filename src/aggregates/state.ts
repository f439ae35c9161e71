import { sql } from 'kysely';
import { usageError } from '../cli/errors.ts';
import type { Session } from '../db/session.ts';
import type { Source } from './source.ts';

/** What is known of a source at one moment. Hours are whole hours since 1970-01-01T00:00:00Z. */
export interface SourceState {
  /** Names the source in sensordb's own tables and in its triggers. */
  readonly id: string;
  /** Null: it was never set up. */
  readonly cleanUntilHour: number | null;
  /** Changes before this hour are logged; null before the setup. */
  readonly gateHour: number | null;
  /** All triggers stand on the table, and fire always. */
  readonly isLogged: boolean;
  /** Some partition came, went, or looks otherwise than it did. */
  readonly leavesMoved: boolean;
  readonly hasPending: boolean;
  readonly hasChanges: boolean;
  /** How many partitions there are, directly below the table. */
  readonly leaves: number;
}

/**
 * Reads what is known of a source: one query, whatever the number of leaves; it waits for no lock. In a transaction.
 *
 * Throws a usage error (exit 2) for a source that was never set up and whose aggregates are those of another.
 */
export async function readSourceState(session: Session, source: Source): Promise<SourceState> {
  const { table, hasState } = source;
  const unknown: SourceState = {
    id: String(table.oid),
    cleanUntilHour: null,
    gateHour: null,
    isLogged: false,
    leavesMoved: true,
    hasPending: false,
    hasChanges: false,
    leaves: 0,
  };
  if (!hasState) return unknown;
  // The fingerprints are made here as sensordb.aggregate_leaves makes them: a first call of that function takes as long as all the
  // rest of a refresh that has nothing to do.
  const { rows } = await sql<SourceState>`
    with recursive tree (root, oid) as (
      select i.inhrelid, i.inhrelid from pg_inherits i where i.inhparent = ${String(table.oid)}::oid and not i.inhdetachpending
      union all
      select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
    ),
    mark as (
      select g.tgrelid as oid, string_agg(g.oid || '.' || g.xmin::text, ',' order by g.tgname) as marks
        from pg_trigger g
       where g.tgrelid in (select t.oid from tree t union all select ${String(table.oid)}::oid)
         and g.tgname in ('sensordb_change_insert', 'sensordb_change_update', 'sensordb_change_delete')
         and g.tgfoid = to_regproc('sensordb.log_change') and g.tgenabled = 'A'
       group by g.tgrelid
      having count(*) = 3
    ),
    leaf as (
      select t.root, count(*) filter (where f.fingerprint is null) as unknown,
             string_agg(f.fingerprint, ' ' order by c.oid) as fingerprint
        from tree t
        join pg_class c on c.oid = t.oid
        left join mark m on m.oid = c.oid
        cross join lateral (
          select case c.relkind when 'p' then '' when 'r' then c.oid || ':' || c.relfilenode || ':' || m.marks end as fingerprint
        ) f
       group by t.root
    )
    select s.id::text as id,
           (extract(epoch from s.clean_until) / 3600)::int as "cleanUntilHour",
           pg_sequence_last_value(s.gate)::int as "gateHour",
           exists (select from mark m where m.oid = s.readings) as "isLogged",
           exists (
             select from leaf l
               full join (select k.* from sensordb.aggregate_leaf k where k.source_id = s.id) k on k.leaf_oid = l.root
              where l.unknown > 0 or k.fingerprint is distinct from l.fingerprint) as "leavesMoved",
           exists (select from sensordb.aggregate_pending p where p.source_id = s.id) as "hasPending",
           exists (select from sensordb.aggregate_change c where c.source_id = s.id) as "hasChanges",
           (select count(*)::int from leaf) as leaves
      from sensordb.aggregate_source s
     where s.readings = ${String(table.oid)}::oid`.execute(session.db);
  const [state] = rows;
  if (state !== undefined) return state;
  await requireNoOther(session, source);
  return unknown;
}

/** Throws a usage error when the aggregates are those of another table that is still there: each would erase what the other counted. */
async function requireNoOther(session: Session, { table, aggregatesQualified }: Source): Promise<void> {
  const { rows } = await sql<{ other: string }>`
    select format('%I.%I', n.nspname, c.relname) as other
      from sensordb.aggregate_source s
      join pg_class c on c.oid = s.readings
      join pg_namespace n on n.oid = c.relnamespace
     where s.aggregates = to_regclass(${aggregatesQualified})`.execute(session.db);
  const [first] = rows;
  if (first === undefined) return;
  throw usageError(
    'aggregates_of_other',
    `${aggregatesQualified} holds the aggregates of ${first.other}, and cannot hold those of ${table.qualified}, too.`,
    {
      object: table.qualified,
      hint: 'The aggregates of a table stand in sensors_sensoraggregate of its own schema: put it into another, and make one there.',
    },
  );
}

/** Tells whether every change of a source before its gate is logged. */
export function isSetUp({ cleanUntilHour, isLogged }: SourceState): boolean {
  return cleanUntilHour !== null && isLogged;
}
