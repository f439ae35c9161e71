import { sql } from 'kysely';
import { quoteIdentifier } from '../../db/quote.ts';
import { groupBy } from '../../partitions/drift.ts';
import type { Check, Found } from '../check.ts';
import { sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';
import { relationTree } from '../scope.ts';

const MOST_NAMED = 5;

/** Up to so many are named in one VACUUM. */
const MOST_VACUUMED = 50;

/** Finds tables and partitions whose oldest transaction IDs come near the end of their life. */
export const wraparound: Check = {
  name: 'wraparound',
  area: 'tables',
  finds: 'tables and partitions whose rows were not frozen for too many transactions',
  explanation: `A transaction ID may be two thousand million transactions old and no more: before that, VACUUM must have frozen every row of
it, in every table, or the server takes no more writes. Autovacuum begins to freeze a table at autovacuum_freeze_max_age, come
what may, so that a table well beyond that is one with which it does not succeed: an old transaction, a replication slot or a
prepared transaction holds it back, or its workers are busy elsewhere. The same goes for multixacts, by their own setting.

By relfrozenxid and relminmxid of every table and partition, the older of it and of its TOAST table; a partitioned table has none
itself. A table may have a limit of its own, by a storage parameter. What is not among the tables and partitions in scope, such
as the system's own tables and materialized views, is reported once, for the database.`,
  thresholds: {
    warning_percent: {
      value: 125,
      unit: 'percent of autovacuum_freeze_max_age, or of autovacuum_multixact_freeze_max_age',
      source: 'pgMonitor: at 100 % autovacuum has only begun',
    },
    critical_age: {
      value: 1_600_000_000,
      unit: 'transactions, or multixacts',
      source: 'the default of vacuum_failsafe_age, at which VACUUM leaves indexes alone to be in time',
    },
  },
  opens: false,
  look: async (scene) => {
    const rows = await read(scene);
    return { found: [...groupBy(rows, ({ root }) => root)].map((group) => judge(scene, ...group)) };
  },
};

interface Row {
  /** The table at the top, as SQL spells it; null: it is out of scope. */
  readonly root: string | null;
  readonly isPartition: boolean;
  readonly qualified: string;
  readonly age: number;
  readonly multixactAge: number;
  /** Of its limits, the higher. */
  readonly percent: number;
}

async function read(scene: Scene): Promise<readonly Row[]> {
  const all = scene.table === null;
  const { rows } = await sql<Row>`
    with recursive ${relationTree(scene)},
    -- A table without rows of its own has 0 there.
    heap as materialized (
      select c.oid, c.relnamespace, c.relname, c.reloptions,
             greatest(age(c.relfrozenxid), case when t.relfrozenxid <> '0' then age(t.relfrozenxid) end) as age,
             greatest(mxid_age(c.relminmxid), case when t.relminmxid <> '0' then mxid_age(t.relminmxid) end) as multixact_age
        from pg_class c
        left join pg_class t on t.oid = c.reltoastrelid
       where c.relkind in ('r', 'm') and c.relfrozenxid <> '0'
    ),
    own as materialized (
      select h.oid, min(o.option_value::int8) filter (where o.option_name = 'autovacuum_freeze_max_age') as age,
             min(o.option_value::int8) filter (where o.option_name = 'autovacuum_multixact_freeze_max_age') as multixact_age
        from heap h cross join lateral pg_options_to_table(h.reloptions) o
       where h.reloptions is not null
       group by h.oid
    ),
    judged as materialized (
      select h.*, 100.0 * greatest(
               h.age::float8 / least(current_setting('autovacuum_freeze_max_age')::int8, o.age),
               h.multixact_age::float8 / least(current_setting('autovacuum_multixact_freeze_max_age')::int8, o.multixact_age)
             ) as percent
        from heap h left join own o on o.oid = h.oid
    )
    select r.root_qualified as root, coalesce(r.level > 0, false) as "isPartition",
           format('%I.%I', n.nspname, j.relname) as qualified, j.age::float8 as age,
           j.multixact_age::float8 as "multixactAge", j.percent::float8 as percent
      from judged j
      join pg_namespace n on n.oid = j.relnamespace
      left join relation r on r.oid = j.oid
     where (r.oid is not null or ${all})
       and (j.percent >= ${scene.threshold('warning_percent')}
            or greatest(j.age, j.multixact_age) >= ${scene.threshold('critical_age')})
     order by j.percent desc, qualified`.execute(scene.session.db);
  return rows;
}

function judge(scene: Scene, root: string | null, rows: readonly Row[]): Found {
  const names = rows.map(({ qualified }) => qualified);
  const [first] = rows as readonly [Row];
  const age = Math.max(...rows.map((row) => row.age));
  const multixactAge = Math.max(...rows.map((row) => row.multixactAge));
  const isCritical = Math.max(age, multixactAge) >= scene.threshold('critical_age');
  const named = `${names.slice(0, MOST_NAMED).join(', ')}${names.length > MOST_NAMED ? ', …' : ''}`;
  const what =
    root === null
      ? `${rows.length} tables of the system or out of scope (${named})`
      : first.isPartition
        ? `${rows.length} of its partitions (${named})`
        : 'It';
  const verb = root !== null && !first.isPartition ? 'holds' : 'hold';
  return {
    severity: isCritical ? 'critical' : 'warning',
    object: root ?? quoteIdentifier(scene.session.server.database),
    message: `${what} ${verb} transaction IDs up to ${age} transactions old and multixacts up to ${multixactAge}, ${Math.round(first.percent)} % of the age at which autovacuum freezes them: it does not succeed. Near 2,100,000,000 the server takes no more writes.`,
    evidence: {
      tables: names.slice(0, MOST_NAMED),
      tableCount: names.length,
      oldestXidAge: age,
      oldestMultixactAge: multixactAge,
      percent: Math.round(first.percent),
    },
    fixes: [
      sqlFix(
        'vacuum',
        `vacuum (freeze) ${names.length > MOST_VACUUMED ? (root ?? '') : names.join(', ')}`.trim(),
      ),
    ],
  };
}
