import { sql } from 'kysely';
import { quoteIdentifier } from '../../db/quote.ts';
import type { Check, Found } from '../check.ts';
import { type Fix, irreversibleFix, sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';
import { relationTree } from '../scope.ts';

interface Row {
  readonly sequence: string;
  readonly table: string;
  readonly isPartitioned: boolean;
  readonly column: string;
  readonly columnType: string;
  readonly sequenceType: string;
  /** The largest number that both the sequence and the column can take. */
  readonly most: string;
  /** The largest that the column can take. */
  readonly fitting: string;
  /** Null: never used. */
  readonly last: string | null;
  readonly readable: boolean;
  /** From 0 to 1; null: never used, or not to be seen. */
  readonly used: number | null;
  /** Of what the column can take, where the sequence ends before that; else null. */
  readonly usedOfColumn: number | null;
}

/** Finds sequences that will run out of numbers. */
export const sequenceExhaustion: Check = {
  name: 'sequence_exhaustion',
  area: 'tables',
  finds: 'sequences, and identity columns, that will run out of numbers',
  explanation: `When a sequence has reached its end, or the largest number that its column can hold, every insert that draws from it fails
(2200H, 22003). A column of type integer ends at 2,147,483,647, whatever the type of its sequence.

Looked at are sequences that a column owns (serial, identity), or draws from by its default, on tables and their partitions; sequences
that start again (CYCLE) are left out. All partitions of a table draw from one sequence.`,
  thresholds: {
    warning_percent: {
      value: 75,
      unit: 'percent',
      source: 'Early enough to rewrite a large table at leisure; PgHero says 90',
    },
    critical_percent: {
      value: 90,
      unit: 'percent',
      source: 'check_postgres: 85 is a warning, 95 critical; PgHero: 90',
    },
  },
  opens: false,
  look: async (scene) => {
    const rows = await read(scene);
    const share = scene.threshold('warning_percent') / 100;
    const full = rows.filter(({ used }) => used !== null && used >= share);
    const hidden = rows.filter(({ readable }) => !readable);
    return {
      found: [...full.map((row) => exhausted(scene, row)), ...hidden.map((row) => unseen(scene, row))],
    };
  },
};

const COLUMN_TYPES: readonly string[] = ['smallint', 'integer', 'bigint'];

async function read(scene: Scene): Promise<readonly Row[]> {
  const { rows } = await sql<Row>`
    with recursive ${relationTree(scene)},
    -- 'a' and 'i' own a sequence; a default that names one depends on it.
    drawn as materialized (
      select d.objid as seq, d.refobjid as rel, d.refobjsubid as att
        from pg_depend d
       where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
      union
      select d.refobjid, a.adrelid, a.adnum
        from pg_attrdef a
        join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = a.oid and d.refclassid = 'pg_class'::regclass
         and d.refobjid <> a.adrelid
    ),
    used as materialized (
      select distinct on (s.seqrelid) s.*, r.qualified, r.kind, r.level, a.attname, a.atttypid,
             f.most as fitting, least(s.seqmax, f.most) as most
        from drawn d
        join pg_sequence s on s.seqrelid = d.seq and not s.seqcycle and s.seqincrement > 0
        join relation r on r.oid = d.rel
        join pg_attribute a on a.attrelid = d.rel and a.attnum = d.att
        cross join lateral (
          select case a.atttypid when 'int2'::regtype then 32767 when 'int4'::regtype then 2147483647
                                 else 9223372036854775807 end as most) f
       order by s.seqrelid, case a.atttypid when 'int2'::regtype then 1 when 'int4'::regtype then 2 else 3 end, r.level, r.qualified
    ),
    seen as materialized (
      select u.*, n.nspname, c.relname, has_sequence_privilege(u.seqrelid, 'usage, select') as readable
        from used u join pg_class c on c.oid = u.seqrelid join pg_namespace n on n.oid = c.relnamespace
    ),
    read as (
      -- Without the right this function is an error (42501).
      select s.*, case when s.readable then pg_sequence_last_value(s.seqrelid) end as last_value from seen s
    )
    select format('%I.%I', r.nspname, r.relname) as sequence, r.qualified as "table", r.kind = 'p' as "isPartitioned", r.attname::text as "column",
           format_type(r.atttypid, null) as "columnType", format_type(r.seqtypid, null) as "sequenceType",
           r.most::text as most, r.fitting::text as fitting, r.last_value::text as last, r.readable,
           case when r.last_value is null then null
                else ((r.last_value - b.base + 1)::numeric / greatest(r.most - b.base + 1, 1))::float8 end as used,
           case when r.most < r.fitting then ((r.last_value - b.base + 1)::numeric / (r.fitting - b.base + 1))::float8 end as "usedOfColumn"
      from read r
      -- What lies below its beginning was never meant to be given out, unless it was set back there.
      cross join lateral (select greatest(r.seqmin, least(r.seqstart, r.last_value))::numeric as base) b
     order by 1`.execute(scene.session.db);
  return rows;
}

function exhausted({ threshold }: Scene, row: Row): Found {
  const { sequence, table, column, columnType, most, last, used } = row;
  const percent = Math.min(100, Math.floor((used ?? 0) * 1000) / 10);
  const fixes = fixesOf(row, threshold('warning_percent') / 100);
  const rewrites = fixes.some(({ isIrreversible }) => isIrreversible)
    ? ` The change of its type rewrites ${row.isPartitioned ? 'all partitions' : 'the table'} under ACCESS EXCLUSIVE, which blocks readers and writers until it is done.`
    : '';
  return {
    severity: percent >= threshold('critical_percent') ? 'critical' : 'warning',
    object: sequence,
    message: `${sequence} has given out ${percent} % of its numbers: at ${most} inserts into ${table} fail (column ${column} is ${columnType}).${rewrites}`,
    evidence: { table, column, columnType, lastValue: last, most, usedPercent: percent },
    fixes,
  };
}

/** What is bigint already has no larger type: an end of its own may stand in its way. */
function fixesOf(row: Row, share: number): readonly Fix[] {
  const { sequence, table, column, columnType, sequenceType, most, fitting, usedOfColumn } = row;
  const isBig = (type: string): boolean => type === 'bigint';
  // The sequence ends before the column does: its end alone is in the way.
  if (!isBig(columnType) && COLUMN_TYPES.includes(columnType) && (usedOfColumn ?? 1) < share) {
    const [from, to] = [sequenceType, columnType].map((type) => COLUMN_TYPES.indexOf(type)) as [
      number,
      number,
    ];
    // One of a larger type may begin below what the smaller can hold: it keeps its type.
    const end = from > to ? `maxvalue ${fitting}` : `${from < to ? `as ${columnType} ` : ''}no maxvalue`;
    return [sqlFix('repair', `alter sequence ${sequence} ${end}`)];
  }
  const end = !isBig(sequenceType)
    ? `alter sequence ${sequence} as bigint no maxvalue`
    : BigInt(most) < 9_223_372_036_854_775_807n
      ? `alter sequence ${sequence} no maxvalue`
      : null;
  const further = end === null ? [] : [sqlFix('repair', end)];
  if (isBig(columnType) || !COLUMN_TYPES.includes(columnType)) return further;
  const type = `alter table ${table} alter column ${quoteIdentifier(column)} type bigint`;
  // Without the other type the sequence has nowhere to go on to: who leaves the one leaves both.
  return [irreversibleFix('repair', type), ...further.map((fix): Fix => ({ ...fix, isIrreversible: true }))];
}

function unseen({ session }: Scene, { sequence, table }: Row): Found {
  const { user } = session.server;
  return {
    severity: 'unknown',
    object: sequence,
    message: `How far ${sequence} of ${table} has got cannot be seen. Role ${user} needs SELECT on it.`,
    evidence: { table, needs: 'SELECT' },
    fixes: [sqlFix('setting', `grant select on sequence ${sequence} to ${quoteIdentifier(user)}`)],
  };
}
