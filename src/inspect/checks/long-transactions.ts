import { sql } from 'kysely';
import { describeHolder } from '../../db/blockers.ts';
import { quoteIdentifier, quoteLiteral } from '../../db/quote.ts';
import type { Check, Found } from '../check.ts';
import { type Fix, irreversibleFix, sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';

interface Row {
  readonly pid: number;
  readonly user: string | null;
  readonly application: string | null;
  readonly state: string | null;
  readonly query: string | null;
  /** Null: the role may not see it. */
  readonly ageSeconds: number | null;
  /** When it began, as PostgreSQL prints it. */
  readonly startedAt: string | null;
}

/** Finds transactions that have been open for long. */
export const longTransactions: Check = {
  name: 'long_transactions',
  area: 'activity',
  finds: 'transactions that have been open for long, and hold vacuum and maintenance back',
  explanation: `While a transaction is open, VACUUM cannot remove what was deleted after it began, in no table of the database:
tables and indexes bloat, and the age of their oldest rows grows towards wraparound. DETACH … CONCURRENTLY and CREATE INDEX
CONCURRENTLY wait for it, and so does whoever wants a strong lock on a table that it has used.

Told by pg_stat_activity.xact_start of this database's sessions. One that is idle in its transaction has most often been forgotten, and
is reported earlier. A long backup (pg_dump) is reported, too: it holds back as much as any other.`,
  thresholds: {
    idle_minutes: {
      value: 15,
      unit: 'minutes',
      source: 'pgMonitor calls a session that is idle in its transaction for 900 s critical',
    },
    warning_minutes: {
      value: 60,
      unit: 'minutes',
      source:
        'Longer than a batch that runs beside an application should take; maintenance commonly runs by the hour',
    },
    critical_minutes: {
      value: 1440,
      unit: 'minutes',
      source: 'A day: every nightly maintenance since then was held back',
    },
  },
  opens: false,
  look: async (scene) => {
    const rows = await read(scene);
    const idle = scene.threshold('idle_minutes') * 60;
    const active = scene.threshold('warning_minutes') * 60;
    const long = rows.filter(
      ({ state, ageSeconds }) =>
        ageSeconds !== null && ageSeconds >= (state?.startsWith('idle') ? Math.min(idle, active) : active),
    );
    const hidden = rows.filter(({ ageSeconds }) => ageSeconds === null).length;
    return {
      found: [
        ...(long.length === 0 ? [] : [found(scene, long)]),
        ...(hidden === 0 ? [] : [unseen(scene, hidden)]),
      ],
    };
  },
};

async function read({ session }: Scene): Promise<readonly Row[]> {
  // Who sees no more sees backend_xid and backend_xmin all the same, and the locks of everybody: whoever has one is in a transaction
  // (14 to 18). Autovacuum has a snapshot, too, and no user.
  const { rows } = await sql<Row>`
    select a.pid, a.usename::text as "user", nullif(a.application_name, '') as application, a.state, a.query,
           extract(epoch from clock_timestamp() - a.xact_start)::float8 as "ageSeconds", a.xact_start::text as "startedAt"
      from pg_stat_activity a
     where a.datname = current_database() and a.pid <> pg_backend_pid()
       and (a.backend_type = 'client backend' or a.backend_type is null and a.usesysid is not null)
       and (a.xact_start is not null or a.backend_xid is not null or a.backend_xmin is not null
            or a.backend_type is null and exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'relation'))
     order by a.xact_start nulls last, a.pid`.execute(session.db);
  return rows;
}

const databaseOf = ({ session }: Scene): string => quoteIdentifier(session.server.database);

function found(scene: Scene, long: readonly Row[]): Found {
  const oldest = Math.max(...long.map(({ ageSeconds }) => ageSeconds ?? 0));
  const who = long.slice(0, 5).map((row) => describeHolder(row, ''));
  const more = long.length > 5 ? `; and ${long.length - 5} more` : '';
  return {
    severity: oldest >= scene.threshold('critical_minutes') * 60 ? 'critical' : 'warning',
    object: databaseOf(scene),
    message: `Open for long, holding back vacuum and maintenance: ${who.join('; ')}${more}.`,
    evidence: {
      transactions: long.length,
      oldestSeconds: Math.round(oldest),
      pids: long.map(({ pid }) => String(pid)),
    },
    fixes: long.map(endOf),
  };
}

/** By the beginning of its transaction, too: by then the session may be at another one, or its pid another's. */
function endOf({ pid, startedAt }: Row): Fix {
  const began = quoteLiteral(startedAt ?? '');
  return irreversibleFix(
    'session',
    `select pg_terminate_backend(a.pid) from pg_stat_activity a where a.pid = ${pid} and a.xact_start = ${began}`,
  );
}

function unseen(scene: Scene, hidden: number): Found {
  const { user, versionNum } = scene.session.server;
  // From 16 on each grant says whether it is inherited; a role with NOINHERIT does not by default.
  const inherited = versionNum >= 160_000 ? ' with inherit true' : '';
  return {
    severity: 'unknown',
    object: databaseOf(scene),
    message: `How long ${hidden === 1 ? 'a transaction of another role is' : `${hidden} transactions of other roles are`} open cannot be seen. It needs pg_read_all_stats, or pg_monitor.`,
    evidence: { hidden, needs: 'pg_read_all_stats' },
    fixes: [sqlFix('setting', `grant pg_read_all_stats to ${quoteIdentifier(user)}${inherited}`)],
  };
}
