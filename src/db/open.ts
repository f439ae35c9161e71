import { isIP } from 'node:net';
import type postgres from 'postgres';
import { connectionError, type SensordbError } from '../cli/errors.ts';
import { nodeDns } from './builtins/lazy.ts';
import type { Conninfo, Endpoint, TargetSessionAttrs } from './conninfo/types.ts';
import { type Attempt, type AttemptHooks, tryAddress } from './open/attempt.ts';
import { type Attempted, joinFailures, networkFailure } from './open/failures.ts';
import { type Session, startSession } from './open/session.ts';

export type { Run } from './open/session.ts';

/** What an open connection tells its owner. */
export interface OpenHooks {
  /** Takes the server's notices; without it they are dropped, never printed. */
  readonly onNotice?: ((notice: postgres.Notice) => void) | undefined;
  /** Is told once that the session is over: null when it was closed on purpose, else why it was lost. */
  readonly onClose?: ((lost: SensordbError | null) => void) | undefined;
  /** Gives up connecting; the promise is then rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** One session on one physical connection, which is never replaced by another one. */
export interface OpenSql extends Session {
  /** The driver's client, for what `run` has no way to do. Neither reserve nor end may be called on it. */
  readonly sql: postgres.Sql;
  readonly endpoint: Endpoint;
  readonly encrypted: boolean;
  /** The server's process by its BackendKeyData message; behind a pooler a number of the pooler's own. */
  readonly backendPid: number;
}

/** Failures after which libpq goes on to the next address or host; any other ends the search. */
const GO_ON: ReadonlySet<string> = new Set(['server_unreachable', 'server_starting', 'wrong_server']);

const ignore = () => {};

/** Opens one connection, to the first server that will do in the order that libpq tries them. */
export async function openSql(conninfo: Conninfo, hooks: OpenHooks = {}): Promise<OpenSql> {
  const attemptHooks: AttemptHooks = { onNotice: hooks.onNotice ?? ignore, signal: hooks.signal };
  const failures: SensordbError[] = [];
  for await (const { attempted, wanted, lookupError } of candidates(conninfo)) {
    hooks.signal?.throwIfAborted();
    const attempt: Attempt =
      lookupError === null
        ? await tryAddress(attempted, wanted, attemptHooks)
        : { status: 'failed', error: networkFailure(attempted, lookupError), encrypted: false };
    if (attempt.status === 'open') return present(attempt, attempted, hooks);
    failures.push(attempt.error);
    if (!GO_ON.has(attempt.error.facts.code)) break;
  }
  const [first, ...others] = failures;
  if (first === undefined) throw connectionError('server_unreachable', 'There is no server to connect to.');
  throw joinFailures([first, ...others]);
}

function present(attempt: Attempt & { status: 'open' }, attempted: Attempted, hooks: OpenHooks): OpenSql {
  const { wire, login } = attempt;
  return {
    ...startSession(wire, attempted, login, hooks.onClose ?? ignore),
    sql: login.sql,
    endpoint: attempted.endpoint,
    encrypted: wire.encrypted,
    backendPid: login.backend.pid,
  };
}

interface Candidate {
  readonly attempted: Attempted;
  readonly wanted: TargetSessionAttrs;
  readonly lookupError: unknown;
}

async function* candidates(conninfo: Conninfo): AsyncGenerator<Candidate> {
  const wish = conninfo.targetSessionAttrs;
  // prefer-standby goes through all servers for a standby, and through all again for any.
  for (const wanted of wish === 'prefer-standby' ? (['standby', 'any'] as const) : [wish]) {
    for (const endpoint of arrange(conninfo.endpoints, conninfo.shuffleHosts)) {
      const { addresses, error } = await listAddresses(endpoint);
      for (const address of arrange(addresses, conninfo.shuffleHosts)) {
        yield { attempted: { conninfo, endpoint, address }, wanted, lookupError: error };
      }
    }
  }
}

// A name that cannot be looked up counts as one address that failed.
async function listAddresses(endpoint: Endpoint) {
  if (endpoint.isSocket) return { addresses: [null], error: null };
  const known = endpoint.hostaddr ?? (isIP(endpoint.host) > 0 ? endpoint.host : null);
  if (known !== null) return { addresses: [known], error: null };
  try {
    const found = await nodeDns().lookup(endpoint.host, { all: true });
    return { addresses: found.map((one) => one.address), error: null };
  } catch (error) {
    return { addresses: [null], error };
  }
}

function arrange<T>(items: readonly T[], shuffled: boolean): readonly T[] {
  if (!shuffled) return items;
  const keyed = items.map((item) => ({ item, key: Math.random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
