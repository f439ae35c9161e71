import { sql } from 'kysely';
import { quoteLiteral } from '../../db/quote.ts';
import { prettyBytes } from '../../partitions/pretty-bytes.ts';
import type { Check, Found } from '../check.ts';
import { irreversibleFix } from '../fix.ts';
import type { Scene } from '../scene.ts';

interface Row {
  readonly slot: string;
  readonly active: boolean;
  /** Null: it has never reserved any. */
  readonly retainedBytes: number | null;
  readonly walStatus: string | null;
  /** Transactions since the oldest whose rows it keeps from VACUUM; null: it keeps none. */
  readonly xminAge: number | null;
}

/** Finds replication slots that hold back WAL or VACUUM for nobody. */
export const replicationSlots: Check = {
  name: 'replication_slots',
  area: 'activity',
  finds: 'replication slots that nobody reads, or that are far behind, and keep WAL and dead rows',
  explanation: `A replication slot keeps the WAL that its reader has not confirmed, until the disk is full, and a logical one, or one with
hot_standby_feedback, keeps dead rows from VACUUM, in every database. A slot whose reader has gone for good is to be dropped; one whose
reader is only away, as while it is started anew, will be read on: without a reader it is a note until it keeps much.

max_slot_wal_keep_size (13 and later) bounds the WAL: what is over it makes a slot "lost", and its replica is to be made anew.`,
  thresholds: {
    warning_bytes: {
      value: 1_073_741_824,
      unit: 'bytes',
      source: 'max_wal_size as PostgreSQL ships: more is kept than checkpoints need',
    },
    critical_bytes: {
      value: 53_687_091_200,
      unit: 'bytes',
      source: '50 GiB: of the order of the room that is commonly left to WAL',
    },
    critical_xmin_age: {
      value: 100_000_000,
      unit: 'transactions',
      source: 'Half of autovacuum_freeze_max_age as PostgreSQL ships: wraparound is on its way',
    },
  },
  opens: false,
  look: async (scene) => {
    // On a standby the WAL that has come is the latest.
    const { rows } = await sql<Row>`
      select s.slot_name::text as slot, s.active, s.wal_status as "walStatus",
             pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end,
                             s.restart_lsn)::float8 as "retainedBytes",
             greatest(age(s.xmin), age(s.catalog_xmin))::float8 as "xminAge"
        from pg_replication_slots s
       -- Those that a standby keeps in step with its primary's (17 and later) are read there.
       where not s.temporary and not coalesce((to_jsonb(s) ->> 'synced')::bool, false)
       order by s.slot_name`.execute(scene.session.db);
    return { found: rows.flatMap((row) => judge(scene, row)) };
  },
};

function judge({ threshold }: Scene, row: Row): readonly Found[] {
  const { slot, active, walStatus, xminAge } = row;
  const retained = row.retainedBytes ?? 0;
  const isLost = walStatus === 'lost';
  // Over max_slot_wal_keep_size: the next checkpoint takes WAL that its reader needs.
  const isGoing = walStatus === 'unreserved';
  const holds = row.retainedBytes !== null || xminAge !== null;
  const isCritical =
    isLost ||
    isGoing ||
    retained >= threshold('critical_bytes') ||
    (xminAge ?? 0) >= threshold('critical_xmin_age');
  const keepsMuch = retained >= threshold('warning_bytes');
  if (!isCritical && !keepsMuch && (active || !holds)) return [];
  const state = isLost
    ? 'has lost WAL that its reader needs'
    : isGoing
      ? 'is about to lose WAL that its reader needs'
      : active
        ? 'is far behind'
        : 'has no reader';
  const rows =
    xminAge === null ? '' : `, and the dead rows of ${xminAge.toLocaleString('en-US')} transactions`;
  return [
    {
      severity: isCritical ? 'critical' : keepsMuch ? 'warning' : 'info',
      object: slot,
      message: `Replication slot ${slot} ${state}: it keeps ${prettyBytes(retained)} of WAL${rows}.`,
      evidence: { active, walStatus, retainedBytes: row.retainedBytes, xminAge },
      // One that is being read cannot be dropped, and its reader may catch up.
      fixes:
        active || !(isCritical || keepsMuch)
          ? []
          : [irreversibleFix('session', `select pg_drop_replication_slot(${quoteLiteral(slot)})`)],
    },
  ];
}
