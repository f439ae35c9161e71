import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import { underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { END, formatBound, type Instant, parseInstant } from '../time/instant.ts';
import type { Interval } from '../time/periods.ts';
import type { DefaultRows } from './ensure-plan.ts';
import type { DefaultPartition } from './read.ts';

/** From when on, and until when (exclusive), a partition may exist. */
export interface Sane {
  readonly lower: Instant;
  readonly upper: Instant;
}

/** Rows of DEFAULT of one kind. */
export interface DefaultGroup {
  /** `period`: they belong into one; the others have no place in any partition. */
  readonly kind: 'period' | 'too_early' | 'too_late' | 'infinite' | 'null_key';
  /** The beginning of the period. */
  readonly start: Instant | null;
  readonly rows: DefaultRows;
}

interface GroupRow {
  readonly kind: DefaultGroup['kind'];
  readonly start: string | null;
  readonly count: string;
  readonly earliest: string | null;
  readonly latest: string | null;
}

/** Reads how many rows of which period DEFAULT holds: one pass, under ACCESS SHARE, which it waits for under the budget. */
export async function readDefaultGroups(
  session: Session,
  table: PartitionedTable,
  defaultPartition: DefaultPartition,
  interval: Interval,
  sane: Sane,
  options: RunOptions,
): Promise<readonly DefaultGroup[]> {
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  const locks = [{ relation, mode: 'ACCESS SHARE' as const }];
  const rows = await underBudget(session, `Count the rows of ${relation}`, locks, options, () =>
    reading(
      session,
      async () => {
        await session.run('set local row_security to off');
        return (await session.run<GroupRow>(groupQuery(table, relation, interval, sane))).rows;
      },
      options.budget.lockTimeoutMs,
    ),
  );
  return rows.map(({ kind, start, count, earliest, latest }) => ({
    kind,
    start: start === null ? null : instantOf(start),
    rows: { count: Number(count), earliest: instantOf(earliest), latest: instantOf(latest) },
  }));
}

/** Spells the test for each kind of row that no partition should exist for. */
export function insaneKinds({ key, keyType }: Pick<PartitionedTable, 'key' | 'keyType'>, sane: Sane) {
  const column = `d.${quoteIdentifier(key)}`;
  const [lower, upper] = [sane.lower, sane.upper].map((end) => quoteLiteral(formatBound(end, keyType)));
  return {
    null_key: `${column} is null`,
    infinite: `not isfinite(${column})`,
    too_early: `${column} < ${lower}`,
    too_late: `${column} >= ${upper}`,
  } as const;
}

function groupQuery(table: PartitionedTable, relation: string, interval: Interval, sane: Sane): string {
  const column = `d.${quoteIdentifier(table.key)}`;
  const kinds = Object.entries(insaneKinds(table, sane));
  const cases = kinds.map(([kind, test]) => `when ${test} then '${kind}'`).join(' ');
  // In UTC: that is the session's TimeZone here, and date_trunc of a timestamptz goes by it.
  return `select g.kind, case when g.kind = 'period' then date_trunc('${interval}', g.key)::text end as start,
         count(*)::text as count, min(g.key)::text as earliest, max(g.key)::text as latest
    from (select ${column} as key, case ${cases} else 'period' end as kind from ${relation} d) g
   group by 1, 2`;
}

function instantOf(text: string | null): Instant {
  return text === null ? END : (parseInstant(text) as Instant);
}

/** A foreign key of the parent to an ordinary table. */
export interface ForeignKey {
  readonly name: string;
  /** As pg_get_constraintdef prints it: `FOREIGN KEY (…) REFERENCES …`. */
  readonly definition: string;
  /** The referenced table, qualified. */
  readonly references: string;
}

/** What decides how rows of DEFAULT can be moved. */
export interface DrainFacts {
  /** The parent's columns that can be written, in its order. */
  readonly columns: readonly string[];
  /** Foreign keys of other tables to the parent whose triggers a DELETE from DEFAULT fires. */
  readonly foreignKeys: readonly string[];
  /** The user's own triggers that a DELETE from DEFAULT fires. */
  readonly triggers: readonly string[];
  /** Those that fire even in a session of role replica. */
  readonly alwaysFiring: readonly string[];
  readonly mayBeReplica: boolean;
  /** Foreign keys of the parent that a table can be given before it is attached. */
  readonly keys: readonly ForeignKey[];
  /** Publications that would send the DELETE to subscribers, who never got the INSERT. */
  readonly publications: readonly string[];
  /** Publications that would send the copies of rows, to subscribers who do not have the table of copies. */
  readonly widePublications: readonly string[];
}

/** Reads what decides how rows of DEFAULT can be moved; waits for no lock. */
export async function readDrainFacts(
  session: Session,
  table: Pick<PartitionedTable, 'oid'>,
  defaultPartition: Pick<DefaultPartition, 'oid'>,
): Promise<DrainFacts> {
  // 8 is TRIGGER_TYPE_DELETE. The trigger of a foreign key is internal; its constraint is named on the referencing table.
  // has_parameter_privilege is new in 15; before, only superusers may set session_replication_role.
  const mayBeReplica =
    session.server.versionNum < 150_000
      ? 'r.rolsuper'
      : `has_parameter_privilege('session_replication_role', 'set')`;
  // Publications of schemas are new in 15; the table of copies is made in the schema of the parent.
  const ofSchema =
    session.server.versionNum < 150_000
      ? ''
      : `or exists (select from pg_publication_namespace s join pg_class c on c.relnamespace = s.pnnspid
                     where s.pnpubid = p.oid and c.oid = $1::oid)`;
  const { rows } = await session.run<{ facts: DrainFacts }>(
    `with firing as (
       select t.tgenabled as enabled, c.contype = 'f' as is_key,
              case when c.contype = 'f' then format('%I on %s', c.conname, c.conrelid::regclass) else quote_ident(t.tgname) end as name
         from pg_trigger t left join pg_constraint c on c.oid = t.tgconstraint
        where t.tgrelid = $2::oid and t.tgtype & 8 > 0 and t.tgenabled <> 'D'
          -- It notes the device-hours that move for the next refresh, which does no harm.
          and not exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                           where p.oid = t.tgfoid and n.nspname = 'sensordb' and p.proname = 'log_change'))
     select jsonb_build_object(
       'columns', (select jsonb_agg(a.attname order by a.attnum) from pg_attribute a
                    where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''),
       'foreignKeys', coalesce((select jsonb_agg(distinct f.name) from firing f where f.is_key), '[]'),
       'triggers', coalesce((select jsonb_agg(distinct f.name) from firing f where f.is_key is not true and f.enabled <> 'R'), '[]'),
       'alwaysFiring', coalesce((select jsonb_agg(distinct f.name) from firing f where f.enabled in ('A', 'R')), '[]'),
       'mayBeReplica', (select ${mayBeReplica} from pg_roles r where r.rolname = current_user),
       'keys', coalesce((
         select jsonb_agg(jsonb_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid),
                                             'references', format('%I.%I', n.nspname, c.relname)) order by k.conname)
           from pg_constraint k join pg_class c on c.oid = k.confrelid join pg_namespace n on n.oid = c.relnamespace
          where k.conrelid = $1::oid and k.contype = 'f' and k.conparentid = 0 and k.convalidated and c.relkind = 'r'), '[]'),
       'publications', coalesce((
         select jsonb_agg(quote_ident(p.pubname) order by p.pubname) from pg_publication p
          where p.pubdelete and exists (
            select from pg_get_publication_tables(p.pubname::text) g where g.relid in ($1::oid, $2::oid))), '[]'),
       'widePublications', coalesce((
         select jsonb_agg(quote_ident(p.pubname) order by p.pubname) from pg_publication p
          where p.pubinsert and (p.puballtables ${ofSchema})), '[]')) as facts`,
    [table.oid, defaultPartition.oid],
  );
  return (rows[0] as { facts: DrainFacts }).facts;
}

/** A period whose rows were being moved when a run was interrupted, or had to give up. */
export interface Unfinished {
  readonly leafOid: number;
  readonly name: string;
  readonly lower: Instant;
  readonly upper: Instant;
  readonly state: 'copying' | 'indexed';
  /** It can be carried on: the table of copies, DEFAULT and the parent's columns are as they were. */
  readonly isIntact: boolean;
}

/** Reads what earlier runs left unfinished of a table; one query, or none before the first drain. */
export async function readUnfinished(
  session: Session,
  table: PartitionedTable,
  defaultPartition: DefaultPartition,
): Promise<readonly Unfinished[]> {
  const { rows: known } = await session.run<{ isThere: boolean }>(
    `select to_regclass('sensordb.drain_row') is not null as "isThere"`,
  );
  if (known[0]?.isThere !== true) return [];
  const columns = (oid: string) =>
    `(select array_agg(row(a.attname, a.atttypid, a.atttypmod)::text order by a.attname) from pg_attribute a
       where a.attrelid = ${oid} and a.attnum > 0 and not a.attisdropped)`;
  const { rows } = await session.run<Omit<Unfinished, 'lower' | 'upper'> & { lower: string; upper: string }>(
    `select r.leaf_oid as "leafOid", r.leaf_name as name, r.lower_bound::text as lower, r.upper_bound::text as upper, r.state,
            r.leaf_file = l.relfilenode and r.default_oid = f.oid and r.default_file = f.relfilenode
              and ${columns('l.oid')} = ${columns('r.parent_oid')} as "isIntact"
       from sensordb.drain r
       join pg_class l on l.oid = r.leaf_oid and l.relname = r.leaf_name and l.relkind = 'r' and not l.relispartition
       join pg_namespace n on n.oid = l.relnamespace and n.nspname = $3
       join pg_class f on f.oid = $2::oid
      where r.parent_oid = $1::oid and r.state in ('copying', 'indexed')
      order by r.lower_bound`,
    [table.oid, defaultPartition.oid, table.schema],
  );
  return rows.map(({ lower, upper, ...row }) => ({
    ...row,
    lower: instantOf(lower),
    upper: instantOf(upper),
  }));
}
