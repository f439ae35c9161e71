import type postgres from 'postgres';
import { SensordbError } from '../../cli/errors.ts';
import { EXIT } from '../../cli/exit-codes.ts';
import type { TargetSessionAttrs } from '../conninfo/types.ts';
import { type Attempted, joinFailures, sessionFailure } from './failures.ts';
import { type Login, login } from './login.ts';
import { type Encryption, openWire, type Wire } from './wire.ts';

/** How an attempt on one address ended. */
export type Attempt =
  | { readonly status: 'open'; readonly wire: Wire; readonly login: Login }
  | { readonly status: 'failed'; readonly error: SensordbError; readonly encrypted: boolean };

/** What an attempt is told besides where to go. */
export interface AttemptHooks {
  readonly onNotice: (notice: postgres.Notice) => void;
  readonly signal: AbortSignal | undefined;
}

/** Tries one address, with and without encryption in the order that sslmode has it. */
export async function tryAddress(
  attempted: Attempted,
  wanted: TargetSessionAttrs,
  hooks: AttemptHooks,
): Promise<Attempt> {
  const [first, second] = encryptionsOf(attempted);
  const attempt = await tryOnce(attempted, first, wanted, hooks);
  if (attempt.status === 'open' || second === null || !isWorthAnother(attempt, second)) return attempt;
  const other = await tryOnce(attempted, second, wanted, hooks);
  if (other.status === 'open') return other;
  // That there is no TLS either says nothing about why the login was refused before.
  if (second === 'tls' && other.error.facts.code === 'tls_failed') return attempt;
  return { ...other, error: joinFailures([attempt.error, other.error]) };
}

// A Unix socket is never encrypted, whatever sslmode says.
function encryptionsOf({ endpoint, conninfo }: Attempted): readonly [Encryption, Encryption | null] {
  if (endpoint.isSocket || conninfo.tls.mode === 'disable') return ['plain', null];
  if (conninfo.tls.mode === 'allow') return ['plain', 'tls'];
  if (conninfo.tls.mode === 'prefer') return ['if-offered', 'plain'];
  return ['tls', null];
}

// pg_hba.conf may let in one kind of connection only (hostssl, hostnossl), so a refusal is tried the other way.
function isWorthAnother(failed: Attempt & { status: 'failed' }, second: Encryption): boolean {
  if (failed.error.facts.code === 'tls_failed') return true;
  return failed.error.facts.sqlstate !== null && failed.encrypted === (second === 'plain');
}

async function tryOnce(
  attempted: Attempted,
  encryption: Encryption,
  wanted: TargetSessionAttrs,
  hooks: AttemptHooks,
): Promise<Attempt> {
  const deadline = startDeadline(attempted.conninfo.connectTimeoutSeconds, hooks.signal);
  let wire: Wire | null = null;
  try {
    wire = await openWire(attempted, encryption, deadline.signal);
    const result = await login(wire, attempted, hooks.onNotice, deadline.signal);
    if (isAcceptable(result, wanted)) return { status: 'open', wire, login: result };
    await result.sql.end({ timeout: 0 });
    throw sessionFailure(attempted);
  } catch (error) {
    hooks.signal?.throwIfAborted();
    if (!(error instanceof SensordbError) || error.exitCode !== EXIT.connection) throw error;
    return { status: 'failed', error, encrypted: wire?.encrypted ?? false };
  } finally {
    deadline.stop();
  }
}

function startDeadline(seconds: number, signal: AbortSignal | undefined) {
  const timeout = new AbortController();
  const late = () => timeout.abort(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' }));
  const timer = seconds === 0 ? undefined : setTimeout(late, seconds * 1000);
  return {
    signal: signal === undefined ? timeout.signal : AbortSignal.any([timeout.signal, signal]),
    stop: () => clearTimeout(timer),
  };
}

function isAcceptable({ inRecovery, readOnly }: Login, wanted: TargetSessionAttrs): boolean {
  switch (wanted) {
    case 'read-write':
      return !readOnly;
    case 'read-only':
      return readOnly;
    case 'primary':
      return !inRecovery;
    case 'standby':
    case 'prefer-standby':
      return inRecovery;
    case 'any':
      return true;
  }
}
