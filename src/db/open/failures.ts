import { connectionError, failure, type SensordbError } from '../../cli/errors.ts';
import { describeEndpoint } from '../conninfo/describe.ts';
import type { Conninfo, Endpoint } from '../conninfo/types.ts';

/** Whom a failed attempt concerns. */
export interface Attempted {
  readonly conninfo: Conninfo;
  readonly endpoint: Endpoint;
  /** The numeric address that was dialled, where a name was looked up. */
  readonly address: string | null;
}

/** What the server said before it gave the connection up. */
export interface ServerMessage {
  /** Its SQLSTATE. */
  readonly code: string | null;
  readonly message: string;
}

const NETWORK_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOENT: 'the socket does not exist',
  EACCES: 'the socket may not be used by this user',
  ENOTFOUND: 'the host is unknown',
  EAI_AGAIN: 'the host could not be looked up',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
};

interface Kind {
  readonly code: string;
  readonly hint: string;
}

const AUTH_HINT =
  'Check the user and the password: PGPASSWORD, a line in ~/.pgpass, or the connection string. What the server lets in is in its pg_hba.conf.';

/** By SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html. */
const SERVER_KINDS: Readonly<Record<string, Kind>> = {
  '28P01': { code: 'auth_failed', hint: AUTH_HINT },
  '28000': { code: 'auth_failed', hint: AUTH_HINT },
  '42501': { code: 'auth_failed', hint: 'Have the owner of the database grant connect on it to this user.' },
  '3D000': { code: 'database_missing', hint: 'Create the database, or name another one.' },
  '53300': {
    code: 'too_many_connections',
    hint: 'Try again later, close other connections, or raise max_connections or the limit of the role or database.',
  },
  '57P03': {
    code: 'server_starting',
    hint: 'The server is starting up, recovering or shutting down: try again.',
  },
};

/** Says that no server was reached at all. */
export function networkFailure(attempted: Attempted, cause: unknown): SensordbError {
  const code = errorCode(cause);
  const reason = NETWORK_REASONS[code] ?? (code || 'the connection failed');
  return connectionError('server_unreachable', `${cannotConnect(attempted)}: ${reason}.`, {
    cause,
    hint: attempted.endpoint.isSocket
      ? 'Check that the server runs and which directory and port its socket has, or give a host.'
      : 'Check that the server runs, that it listens on this address, and that host and port are right.',
  });
}

/** Says that the connection could not be encrypted, or that the server's certificate was not trusted. */
export function tlsFailure(attempted: Attempted, reason: string, cause?: unknown): SensordbError {
  return connectionError('tls_failed', `${cannotConnect(attempted)} with TLS: ${reason}.`, {
    cause,
    hint: `The mode is sslmode=${attempted.conninfo.tls.mode}; sslrootcert names the trusted certificates.`,
  });
}

/** Says why the server refused the login. */
export function loginFailure(attempted: Attempted, message: ServerMessage, cause: unknown): SensordbError {
  const kind = SERVER_KINDS[message.code ?? ''] ?? { code: 'login_refused', hint: undefined };
  return connectionError(kind.code, `${cannotConnect(attempted)}: ${message.message}.`, {
    cause,
    hint: kind.hint,
    sqlstate: message.code ?? undefined,
  });
}

/** Says that the server wants a proof of identity that there is none of. */
export function authFailure(attempted: Attempted, reason: string): SensordbError {
  return connectionError('auth_failed', `${cannotConnect(attempted)}: ${reason}.`, { hint: AUTH_HINT });
}

/** Says that a server answers, but not one of the kind that `target_session_attrs` asks for. */
export function sessionFailure(attempted: Attempted): SensordbError {
  const wanted = attempted.conninfo.targetSessionAttrs;
  return connectionError(
    'wrong_server',
    `${place(attempted)} is not what target_session_attrs=${wanted} asks for.`,
    {
      hint: 'List a host that is, or change target_session_attrs.',
    },
  );
}

/** Sums up several failed attempts; the last of them decides on the code. */
export function joinFailures(failures: readonly [SensordbError, ...SensordbError[]]): SensordbError {
  const last = failures.at(-1) ?? failures[0];
  if (failures.length === 1) return last;
  const messages = new Set(failures.map((one) => one.message));
  return connectionError(last.facts.code, [...messages].join(' '), {
    cause: last,
    hint: last.facts.hint ?? undefined,
    sqlstate: last.facts.sqlstate ?? undefined,
  });
}

/** Says that a connection that had been open is gone; nothing may be sent on a new one as if it were the old. */
export function connectionLost(
  attempted: Attempted,
  message: ServerMessage | null,
  cause?: unknown,
): SensordbError {
  const reason = message?.message ?? 'the server closed it unexpectedly';
  return failure('connection_lost', `The connection to ${place(attempted)} was lost: ${reason}.`, {
    cause,
    sqlstate: message?.code ?? undefined,
    hint: 'What was not committed is rolled back. Run the command again.',
  });
}

/** Gives the code of a system error or of a postgres.js error, or an empty string. */
export function errorCode(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}

function cannotConnect(attempted: Attempted): string {
  return `Cannot connect to ${place(attempted)}`;
}

function place({ conninfo, endpoint, address }: Attempted): string {
  const resolved = address === null || address === endpoint.host ? '' : ` (${address})`;
  return `${conninfo.user}@${describeEndpoint(endpoint)}/${conninfo.database}${resolved}`;
}
