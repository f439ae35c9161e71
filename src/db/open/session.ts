import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import type { SensordbError } from '../../cli/errors.ts';
import { type Attempted, connectionLost, errorCode } from './failures.ts';
import type { Login } from './login.ts';
import { encodeParameter } from './parameters.ts';
import { arrival, openWire, type Wire } from './wire.ts';

/** What a statement gave. */
interface QueryResult<Row> {
  readonly rows: readonly Row[];
  /** Rows returned or changed; null for a statement that has no such number. */
  readonly count: number | null;
  /** The server's word for what it did: SELECT, UPDATE, CREATE TABLE and so on. */
  readonly command: string;
}

/** How a statement is run. */
interface RunOptions {
  /** Cancels the statement on the server; it then fails with 57014, query_canceled. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs one statement on the one connection, after those before it. */
export type Run = <Row = Record<string, unknown>>(
  text: string,
  parameters?: readonly unknown[],
  options?: RunOptions,
) => Promise<QueryResult<Row>>;

/** A session that statements can be run on. */
export interface Session {
  readonly run: Run;
  /** Ends the session; a statement that still runs is cancelled first. Takes a few seconds at worst. */
  readonly close: () => Promise<void>;
}

/** A cancel request names a statement that may not have begun yet: then it has no effect, and is sent again. */
const CANCEL_AGAIN_MS = 500;
const CANCEL_TIMEOUT_MS = 5000;
const CLOSE_TIMEOUT_MS = 2000;
/** How long a server that is asked to cancel may be silent, and after that for each statement that cleans up. */
const SILENCE_MS = 5000;

/** CancelRequest: its length, and the code 80877102 in the place of a protocol version. */
const CANCEL_REQUEST = [0, 0, 0, 16, 4, 210, 22, 46];

const CLOSED_ON_PURPOSE = { code: null, message: 'it has been closed' };
const SILENT = { code: null, message: 'the server did not answer the request to cancel' };

const ignore = () => {};

/** Makes a session of a login; `onClose` is told once, with null when it was closed on purpose. */
export function startSession(
  wire: Wire,
  attempted: Attempted,
  login: Login,
  onClose: (lost: SensordbError | null) => void,
): Session {
  const closing = new AbortController();
  let lost: SensordbError | null = null;
  let queue: Promise<unknown> = Promise.resolve();
  // The last signal that a statement came with: once it is given, those without one have no more time than it gives.
  let latest: AbortSignal | undefined;
  const over = new AbortController();
  wire.socket.once('close', () => {
    lost ??= connectionLost(attempted, login.tap.lastWords());
    over.abort();
    onClose(closing.signal.aborted ? null : lost);
  });
  const giveUp = () => {
    lost ??= connectionLost(attempted, SILENT);
    wire.socket.destroy();
  };
  const explain = (error: unknown) =>
    wire.socket.destroyed || errorCode(error).startsWith('CONNECTION_')
      ? (lost ?? connectionLost(attempted, login.tap.lastWords(), error))
      : error;

  const runNow = async <Row>(
    text: string,
    parameters: readonly unknown[],
    signal: AbortSignal | undefined,
  ) => {
    if (closing.signal.aborted) throw connectionLost(attempted, CLOSED_ON_PURPOSE);
    if (lost !== null) throw lost;
    if (signal?.aborted) throw cancelledBeforehand();
    latest = signal ?? latest;
    const query = login.sql.unsafe(text, parameters.map(encodeParameter));
    const signals = signal === undefined ? [closing.signal] : [closing.signal, signal];
    const cancelOnce = () => cancel(wire, attempted, login, over.signal);
    try {
      const answer = unlessClosed(query, over.signal, () => lost);
      return toResult<Row>(await unlessSilent(cancellable(answer, signals, cancelOnce), latest, giveUp));
    } catch (error) {
      throw explain(error);
    }
  };
  const run: Run = (text, parameters = [], { signal } = {}) => {
    const result = queue.then(() => runNow<never>(text, parameters, signal));
    queue = result.catch(ignore);
    return result;
  };
  return { run, close: once(() => closeSession(wire, login, closing, queue)) };
}

/**
 * Waits for a query, at most until the connection is closed.
 *
 * One that is sent between the error of a socket and its close is never answered by the driver (postgres.js 3.4.9): after an
 * error it takes all queries for answered.
 */
async function unlessClosed<T>(
  query: PromiseLike<T>,
  over: AbortSignal,
  reason: () => SensordbError | null,
): Promise<T> {
  let close: () => void = ignore;
  const closed = new Promise<never>((_, reject) => {
    // Not at once: what the driver says by itself comes first.
    close = () => setImmediate(() => reject(reason()));
    if (over.aborted) close();
    else over.addEventListener('abort', close, { once: true });
  });
  try {
    return await Promise.race([query, closed]);
  } finally {
    over.removeEventListener('abort', close);
    closed.catch(ignore);
  }
}

/** Waits for a query, and gives up on it when it has not ended some time after the signal. */
async function unlessSilent<T>(
  query: Promise<T>,
  signal: AbortSignal | undefined,
  giveUp: () => void,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const start = () => {
    timer = setTimeout(giveUp, SILENCE_MS);
  };
  if (signal?.aborted) start();
  else signal?.addEventListener('abort', start, { once: true });
  try {
    return await query;
  } finally {
    signal?.removeEventListener('abort', start);
    clearTimeout(timer);
  }
}

/** Waits for a query, and has it cancelled over and over once the signal is given. */
async function cancellable<T>(
  query: PromiseLike<T>,
  signals: readonly AbortSignal[],
  cancelOnce: () => Promise<void>,
): Promise<T> {
  let cancelling: { readonly settled: AbortController; readonly done: Promise<void> } | null = null;
  const start = () => {
    const settled = new AbortController();
    cancelling ??= { settled, done: cancelUntil(settled.signal, cancelOnce) };
  };
  // Not AbortSignal.any: making a signal for each statement costs more than all the rest here.
  for (const signal of signals) signal.addEventListener('abort', start, { once: true });
  try {
    return await query;
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', start);
    await endCancelling(cancelling);
  }
}

/** Ends the cancelling: a request still under way could hit the statement that comes next. */
async function endCancelling(
  cancelling: { readonly settled: AbortController; readonly done: Promise<void> } | null,
): Promise<void> {
  cancelling?.settled.abort();
  await cancelling?.done;
}

async function cancelUntil(settled: AbortSignal, cancelOnce: () => Promise<void>): Promise<void> {
  while (!settled.aborted) {
    await cancelOnce().catch(ignore);
    await delay(CANCEL_AGAIN_MS, undefined, { signal: settled }).catch(ignore);
  }
}

// Not by the driver's own cancel, which would dial a second connection by its own rules.
async function cancel(
  wire: Wire,
  attempted: Attempted,
  { backend }: Login,
  over: AbortSignal,
): Promise<void> {
  const deadline = AbortSignal.any([AbortSignal.timeout(CANCEL_TIMEOUT_MS), over]);
  const { socket } = await openWire(attempted, wire.encrypted ? 'tls' : 'plain', deadline);
  try {
    const key = Buffer.alloc(8);
    key.writeUInt32BE(backend.pid, 0);
    key.writeUInt32BE(backend.secret, 4);
    socket.resume();
    socket.write(Buffer.concat([Buffer.from(CANCEL_REQUEST), key]));
    // The server closes the connection once it has passed the request on.
    await arrival(socket, 'close', deadline);
  } finally {
    socket.destroy();
  }
}

async function closeSession(
  wire: Wire,
  login: Login,
  closing: AbortController,
  queue: Promise<unknown>,
): Promise<void> {
  closing.abort();
  const patience = new AbortController();
  const waitAtMost = (promise: Promise<unknown>) =>
    Promise.race([promise, delay(CLOSE_TIMEOUT_MS, undefined, { signal: patience.signal }).catch(ignore)]);
  const closed = new Promise<void>((resolve) => {
    if (wire.socket.closed) resolve();
    wire.socket.once('close', () => resolve());
  });
  await waitAtMost(Promise.race([queue, closed]));
  // With a timeout, and as the first call of end: without, it waits for ever for a connection that broke.
  await login.sql.end({ timeout: 0 });
  await waitAtMost(closed);
  patience.abort();
  wire.socket.destroy();
}

function once(action: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | null = null;
  return () => {
    result ??= action();
    return result;
  };
}

// Several statements in one text give a list of results, of which the last one stands for all.
function toResult<Row>(result: postgres.RowList<postgres.Row[]>): QueryResult<Row> {
  const last =
    'command' in result ? result : (result as unknown as postgres.RowList<postgres.Row[]>[]).at(-1);
  return { rows: [...(last ?? [])] as Row[], count: last?.count ?? null, command: last?.command ?? '' };
}

function cancelledBeforehand(): postgres.PostgresError {
  const message = 'canceling statement due to user request';
  return Object.assign(new postgres.PostgresError(message), { message, code: '57014', severity: 'ERROR' });
}
