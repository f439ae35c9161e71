import type postgres from 'postgres';
import type { Conninfo } from './conninfo/types.ts';
import { createKysely, type Queries } from './kysely.ts';
import { openSql, type Run } from './open.ts';
import type { Database } from './tables.ts';

/** What is asked of the server once, when the connection is made. */
interface ServerFacts {
  /** server_version_num, such as 180004. */
  readonly versionNum: number;
  readonly inRecovery: boolean;
  /** default_transaction_read_only, as set for the role, the database or the session. */
  readonly readOnly: boolean;
  readonly user: string;
  readonly database: string;
  /** The schemas of the role's own search_path that exist, in its order, without the implicit ones. */
  readonly searchPath: readonly string[];
  /** The server's clock, in milliseconds since 1970. */
  readonly clockMs: number;
}

/** One physical connection. */
export interface Connection {
  /** Runs one statement and gives its rows; cancelled when the command is interrupted. */
  readonly run: Run;
  /** Runs one statement even after an interruption, to clean up. */
  readonly runAlways: Run;
  readonly close: () => Promise<void>;
}

/** A connection to a database, and what is known of it. */
export interface Session extends Connection {
  readonly db: Queries<Database>;
  readonly server: ServerFacts;
  /** The server process's own pid, which pg_locks and pg_stat_activity show. */
  readonly backendPid: number;
  /** A pooler stands between: the process behind this connection may change between transactions. */
  readonly pooled: boolean;
  readonly signal: AbortSignal;
  /** Throws when a lock that the caller relies on has been lost; resolves at once without one. */
  readonly assertLocked: () => Promise<void>;
  /** Opens another connection with the same settings; the signal gives up connecting. */
  readonly openAnother: (signal?: AbortSignal) => Promise<Connection>;
}

interface ConnectHooks {
  readonly signal: AbortSignal;
  readonly onNotice: (notice: postgres.Notice) => void;
}

/** Opens a connection; throws a connection error (exit 4) when there is none to be had. */
export async function connect(conninfo: Conninfo, hooks: ConnectHooks): Promise<Session> {
  const openAnother = async (signal = hooks.signal): Promise<Connection & { readonly keyPid: number }> => {
    const open = await openSql(conninfo, { ...hooks, signal });
    const run: Run = (text, parameters, options) =>
      open.run(text, parameters, { signal: hooks.signal, ...options });
    return { run, runAlways: open.run, close: open.close, keyPid: open.backendPid };
  };
  const { keyPid, ...connection } = await openAnother();
  try {
    const { backendPid, ...server } = await readServerFacts(connection.run);
    return {
      ...connection,
      db: createKysely<Database>(connection.run),
      server,
      backendPid,
      // PgBouncer and its like answer the login with a key of their own making: its pid is not the server process's.
      pooled: backendPid !== keyPid,
      signal: hooks.signal,
      assertLocked: async () => {},
      openAnother,
    };
  } catch (thrown) {
    await connection.close();
    throw thrown;
  }
}

/** Gives the same session, but one whose statements neither an interruption nor a lost lock stops: to clean up. */
export function uninterrupted(session: Session): Session {
  const { runAlways } = session;
  return {
    ...session,
    run: runAlways,
    db: createKysely<Database>(runAlways),
    signal: new AbortController().signal,
    assertLocked: async () => {},
  };
}

/** Gives the same session, but one whose statements another signal cancels. */
export function cancelledBy(session: Session, signal: AbortSignal): Session {
  const run: Run = (text, parameters, options) => session.run(text, parameters, { signal, ...options });
  return { ...session, run, db: createKysely<Database>(run), signal };
}

/**
 * Opens another connection to work beside a session, under its lock; the signal cancels its statements.
 *
 * It has a transaction of its own; whoever opened it closes it.
 */
export async function openWorker(session: Session, signal: AbortSignal): Promise<Session> {
  const connection = await session.openAnother(signal);
  return cancelledBy({ ...session, ...connection, backendPid: 0 }, signal);
}

// Every name is qualified: this is the one query that runs under the role's own search_path, which may be hostile.
const SERVER_FACTS = `
  select pg_catalog.pg_backend_pid() as "backendPid",
         pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as "versionNum",
         pg_catalog.pg_is_in_recovery() as "inRecovery",
         current_user::pg_catalog.text as "user",
         pg_catalog.current_database()::pg_catalog.text as "database",
         pg_catalog.array_to_json(pg_catalog.current_schemas(false))::pg_catalog.text as "searchPath",
         pg_catalog.current_setting('default_transaction_read_only') as "readOnly",
         pg_catalog.to_char(pg_catalog.clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.MSOF') as "clock"`;

interface ServerFactsRow {
  readonly backendPid: number;
  readonly versionNum: number;
  readonly inRecovery: boolean;
  readonly user: string;
  readonly database: string;
  readonly searchPath: string;
  readonly readOnly: string;
  readonly clock: string;
}

async function readServerFacts(run: Run): Promise<ServerFacts & { backendPid: number }> {
  const {
    rows: [row],
  } = await run<ServerFactsRow>(SERVER_FACTS);
  if (row === undefined) throw new Error('The server sent no row for its facts.');
  const { searchPath, readOnly, clock, ...facts } = row;
  return {
    ...facts,
    searchPath: JSON.parse(searchPath) as string[],
    readOnly: readOnly === 'on',
    // TimeZone is UTC by our own startup parameter. Text, since extra_float_digits may round a number of seconds.
    clockMs: Date.parse(clock.replace(/\+00$/, 'Z')),
  };
}
