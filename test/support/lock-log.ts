import { readFile } from 'node:fs/promises';
import { type RunningServer, type ServerOptions, startServer } from './postgres.ts';

/** A server that writes down every wait for a lock that lasts. */
export interface WatchfulServer extends RunningServer {
  readonly readLog: () => Promise<readonly LockWait[]>;
  readonly deadlocks: () => Promise<readonly string[]>;
}

/** A wait for a lock on a table. */
interface LockWait {
  readonly application: string;
  readonly pid: number;
  readonly mode: string;
  readonly relation: number;
  /** Who held the lock at that moment. */
  readonly holders: readonly number[];
  readonly statement: string;
}

/** What is waited for longer is in the log; a wait of anybody for a writer that is about to commit need not be. */
const NOTED_AFTER = '10ms';

/**
 * Starts a server of a test's own on which no wait and no deadlock can hide: PostgreSQL looks for a deadlock, and
 * writes the wait down, once it has lasted for deadlock_timeout, which is shorter there than the product's lock_timeout.
 */
export async function startWatchfulServer(options: ServerOptions = {}): Promise<WatchfulServer> {
  const settings = {
    log_lock_waits: 'on',
    deadlock_timeout: NOTED_AFTER,
    log_line_prefix: '%p|%a|',
    ...options.settings,
  };
  const server = await startServer({ ...options, settings });
  const text = () => readFile(server.logFile, 'utf8');
  return {
    ...server,
    readLog: async () => parseWaits(await text()),
    deadlocks: async () => (await text()).split('\n').filter((line) => line.includes('deadlock detected')),
  };
}

const WAIT =
  /^(\d+)\|([^|]*)\|LOG: {2}process \d+ still waiting for (\w+) on relation (\d+) of database \d+ after .*$/;
const HOLDERS = /^\d+\|[^|]*\|DETAIL: {2}Process(?:es)? holding the lock: ([\d, ]+)\./;
const STATEMENT = /^\d+\|[^|]*\|STATEMENT: {2}(.*)$/;

function parseWaits(text: string): readonly LockWait[] {
  const lines = text.split('\n');
  return lines.flatMap((line, at) => {
    const [, pid, application = '', mode = '', relation] = WAIT.exec(line) ?? [];
    if (pid === undefined) return [];
    // Lines of other processes come in between.
    const own = lines.slice(at + 1, at + 50).filter((other) => other.startsWith(`${pid}|`));
    const [, holders = ''] = HOLDERS.exec(own[0] ?? '') ?? [];
    const statement =
      own.map((other) => STATEMENT.exec(other)?.[1]).find((found) => found !== undefined) ?? '';
    return [
      {
        application,
        pid: Number(pid),
        mode,
        relation: Number(relation),
        holders: holders.split(',').filter(Boolean).map(Number),
        statement,
      },
    ];
  });
}
