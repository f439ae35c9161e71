import { sql } from 'kysely';
import type { Check } from '../check.ts';
import { sqlFix } from '../fix.ts';
import { relationTree } from '../scope.ts';

interface Row {
  readonly table: string;
  readonly leaves: number;
  readonly oldest: string;
  /** The largest, as a multiple of what autovacuum lets it become. */
  readonly ratio: number;
  readonly xidAge: number;
  readonly mxidAge: number;
}

/** Finds tables whose oldest rows come near to transaction id wraparound. */
export const wraparound: Check = {
  name: 'wraparound',
  area: 'tables',
  finds: 'tables whose oldest rows are older than autovacuum lets them become',
  explanation: `Transaction ids are 32 bits: a row that is not frozen within two thousand million of them would seem to lie in the future, and
PostgreSQL stops taking writes before that. At autovacuum_freeze_max_age an autovacuum begins that nothing cancels; a table that is
well beyond it was vacuumed in vain, most often because of an old transaction, a replication slot or a prepared transaction.

Told by the age of pg_class.relfrozenxid and relminmxid of each leaf and of its TOAST table, as a multiple of
autovacuum_freeze_max_age and autovacuum_multixact_freeze_max_age. A partitioned table itself has none (0, whose age is meaningless).`,
  thresholds: {
    warning_ratio: {
      value: 1.2,
      unit: 'times autovacuum_freeze_max_age',
      source:
        'From 1 on autovacuum is at it; a fifth more is longer than it takes when nothing holds it back',
    },
    critical_age: {
      value: 1_200_000_000,
      unit: 'transactions',
      source: 'vacuum_failsafe_age is 1.6 thousand million, writes stop 3 million before 2^31',
    },
  },
  opens: false,
  look: async (scene) => {
    const { rows } = await sql<Row>`
      with recursive ${relationTree(scene)},
      aged as (
        select r.root_qualified, r.qualified,
               greatest(age(c.relfrozenxid), coalesce(age(t.relfrozenxid), 0)) as xid_age,
               greatest(mxid_age(c.relminmxid), coalesce(mxid_age(t.relminmxid), 0)) as mxid_age
          from relation r
          join pg_class c on c.oid = r.oid and c.relfrozenxid <> '0'
          left join pg_class t on t.oid = c.reltoastrelid and t.relfrozenxid <> '0'
      ),
      rated as (
        select a.*, greatest(a.xid_age / current_setting('autovacuum_freeze_max_age')::float8,
                             a.mxid_age / current_setting('autovacuum_multixact_freeze_max_age')::float8) as ratio
          from aged a
      )
      select g.root_qualified as "table", count(*)::int as leaves,
             (array_agg(g.qualified order by g.ratio desc, g.qualified))[1] as oldest, max(g.ratio) as ratio,
             max(g.xid_age)::float8 as "xidAge", max(g.mxid_age)::float8 as "mxidAge"
        from rated g
       where g.ratio >= ${scene.threshold('warning_ratio')}::float8
       group by g.root_qualified
       order by g.root_qualified`.execute(scene.session.db);
    return {
      found: rows.map(({ table, leaves, oldest, ratio, xidAge, mxidAge }) => ({
        severity:
          Math.max(xidAge, mxidAge) >= scene.threshold('critical_age')
            ? ('critical' as const)
            : ('warning' as const),
        object: table,
        message: `The oldest rows of ${oldest} are ${ratio.toFixed(1)} times as old as autovacuum lets them become${leaves > 1 ? `, and those of ${leaves - 1} more partitions are old, too` : ''}: something keeps it from freezing them.`,
        evidence: { leaves, oldest, xidAge, multixactAge: mxidAge, ratio: Math.round(ratio * 100) / 100 },
        fixes: [sqlFix('vacuum', `vacuum (freeze) ${table}`)],
      })),
    };
  },
};
