import type { Check, Found } from '../check.ts';
import { type HalfDetached, readHalfDetached } from '../detaches.ts';
import { sqlFix } from '../fix.ts';

/** Finds partitions whose DETACH CONCURRENTLY was interrupted. */
export const detachPending: Check = {
  name: 'detach_pending',
  area: 'partitions',
  finds: 'partitions whose DETACH CONCURRENTLY was interrupted half-way',
  explanation: `ALTER TABLE … DETACH PARTITION … CONCURRENTLY works in two transactions. Interrupted between them, it leaves a
partition that is neither attached nor detached: its rows are invisible through the parent, inserts into its range fail, a
new partition for that range overlaps with it, and no other partition of the parent can be detached concurrently.

Read from pg_inherits.inhdetachpending (PostgreSQL 14 and later). A detach that is still running looks the same: it is told by its
statement in pg_stat_activity, which names the partition and its table. From a role that may not see the statements of others
(pg_read_all_stats) it is hidden, but not the locks: where a session whose statement is hidden waits for, or holds, what a detach
of this partition would, it is unknown whether that is one.`,
  thresholds: {},
  opens: false,
  look: async (scene) => ({
    found: (await readHalfDetached(scene)).filter(({ isRunning }) => !isRunning).map(judge),
  }),
};

function judge({ parent, partition, hiddenPids, cutPids }: HalfDetached): Found {
  const half = `${partition} is half detached from ${parent}`;
  const unread = [...hiddenPids, ...cutPids];
  if (unread.length > 0) {
    const [why, needs] =
      hiddenPids.length > 0
        ? ['the role may not see the statements of others', 'pg_read_all_stats']
        : [
            'the server does not show its whole statement',
            'track_activities on, and a larger track_activity_query_size',
          ];
    return {
      severity: 'unknown',
      object: partition,
      message: `${half}; whether pid ${unread.join(', ')} is still at it cannot be told, for ${why}. It needs ${needs}.`,
      evidence: { parent, pids: unread.map(String), needs },
      fixes: [],
    };
  }
  return {
    severity: 'critical',
    object: partition,
    message: `${half}: its rows are invisible there, and inserts into its range fail.`,
    evidence: { parent },
    fixes: [sqlFix('finalize', `alter table ${parent} detach partition ${partition} finalize`)],
  };
}
