import { sql } from 'kysely';
import type { Check } from '../check.ts';
import { sqlFix } from '../fix.ts';

interface Row {
  readonly parent: string;
  readonly partition: string;
}

/** Finds partitions whose DETACH CONCURRENTLY was interrupted. */
export const detachPending: Check = {
  name: 'detach_pending',
  area: 'partitions',
  finds: 'partitions whose DETACH CONCURRENTLY was interrupted half-way',
  explanation: `ALTER TABLE … DETACH PARTITION … CONCURRENTLY works in two transactions. Interrupted between them, it leaves a
partition that is neither attached nor detached: its rows are invisible through the parent, inserts into its range fail, a
new partition for that range overlaps with it, and no other partition of the parent can be detached concurrently.

Read from pg_inherits.inhdetachpending (PostgreSQL 14 and later). A detach that is still running looks the same, and is told by
its statement in pg_stat_activity: a role that may not see the statements of others is shown a running one, too.`,
  thresholds: {},
  opens: false,
  look: async ({ session, table }) => {
    const only = table === null ? sql`true` : sql`i.inhparent = ${String(table.oid)}::oid`;
    const { rows } = await sql<Row>`
      select format('%I.%I', pn.nspname, p.relname) as parent, format('%I.%I', n.nspname, c.relname) as partition
        from pg_inherits i
        join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
        join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
       where i.inhdetachpending and ${only}
         -- A detach that waits between its two transactions holds no lock at all (14 to 18): its statement is all there is to see.
         and not exists (select from pg_stat_activity a
                          where a.datname = current_database() and a.state = 'active' and a.pid <> pg_backend_pid()
                            and a.query ~* 'detach\\s+partition.+(concurrently|finalize)')`.execute(
      session.db,
    );
    return {
      found: rows.map(({ parent, partition }) => ({
        severity: 'critical',
        object: partition,
        message: `${partition} is half detached from ${parent}: its rows are invisible there, and inserts into its range fail.`,
        evidence: { parent },
        fixes: [sqlFix('finalize', `alter table ${parent} detach partition ${partition} finalize`)],
      })),
    };
  },
};
