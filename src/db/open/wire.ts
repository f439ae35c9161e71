import { connect, type Socket } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { SensordbError } from '../../cli/errors.ts';
import { nodeTls } from '../builtins/lazy.ts';
import { socketPath } from '../conninfo/endpoints.ts';
import { type Attempted, errorCode, networkFailure, tlsFailure } from './failures.ts';
import { loadTls } from './tls-files.ts';

/** Whether one attempt encrypts: not at all, if the server can, or else not at all. */
export type Encryption = 'plain' | 'if-offered' | 'tls';

/** A connection on which nothing of PostgreSQL's protocol has been said yet but the wish for TLS. */
export interface Wire {
  readonly socket: Socket;
  readonly encrypted: boolean;
}

/** SSLRequest: its length, and the code 80877103 in the place of a protocol version. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

const ignore = () => {};

/** Dials a server and encrypts as asked; on failure nothing is left open. */
export async function openWire(
  attempted: Attempted,
  encryption: Encryption,
  deadline: AbortSignal,
): Promise<Wire> {
  const socket = dial(attempted);
  // A socket may fail while nobody waits for it; without a listener that would end the process.
  socket.on('error', ignore);
  try {
    await arrival(socket, 'connect', deadline).catch((cause) => {
      throw networkFailure(attempted, cause);
    });
    if (encryption === 'plain') return { socket, encrypted: false };
    return await encrypt(socket, attempted, encryption, deadline);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function dial({ conninfo, endpoint, address }: Attempted): Socket {
  if (endpoint.isSocket) return connect({ path: socketPath(endpoint.host, endpoint.port) });
  const seconds = conninfo.keepaliveSeconds;
  return connect({
    host: address ?? endpoint.host,
    port: endpoint.port,
    noDelay: true,
    keepAlive: seconds !== null,
    keepAliveInitialDelay: (seconds ?? 0) * 1000,
  });
}

async function encrypt(
  socket: Socket,
  attempted: Attempted,
  encryption: Encryption,
  deadline: AbortSignal,
): Promise<Wire> {
  const { tls } = attempted.conninfo;
  const options = loadTls(tls, attempted.endpoint);
  if (!tls.direct && !(await offersTls(socket, attempted, deadline))) {
    if (encryption === 'if-offered') return { socket, encrypted: false };
    throw tlsFailure(attempted, 'the server does not offer it');
  }
  const secure = startTls(socket, options, attempted);
  secure.on('error', ignore);
  await arrival(secure, 'secureConnect', deadline).catch((cause) => {
    secure.destroy();
    throw handshakeFailure(attempted, cause);
  });
  if (tls.direct && secure.alpnProtocol !== 'postgresql') {
    secure.destroy();
    throw tlsFailure(
      attempted,
      'the server did not agree to PostgreSQL (ALPN), as sslnegotiation=direct demands',
    );
  }
  return { socket: secure, encrypted: true };
}

async function offersTls(socket: Socket, attempted: Attempted, deadline: AbortSignal): Promise<boolean> {
  socket.write(SSL_REQUEST);
  const answer = await arrival(socket, 'data', deadline).catch((cause) => {
    throw networkFailure(attempted, cause);
  });
  const text = Buffer.isBuffer(answer) ? answer.toString('latin1') : '';
  if (text === 'S' || text === 'N') return text === 'S';
  // More than the one byte may have been slipped in unencrypted by somebody in between (CVE-2021-23222).
  throw tlsFailure(
    attempted,
    'the server gave an answer to the request for TLS that PostgreSQL does not give',
  );
}

function startTls(socket: Socket, options: ConnectionOptions, attempted: Attempted): TLSSocket {
  try {
    return nodeTls().connect({ ...options, socket });
  } catch (cause) {
    throw tlsFailure(attempted, 'the certificates or the private key cannot be used', cause);
  }
}

function handshakeFailure(attempted: Attempted, cause: unknown): SensordbError {
  const code = errorCode(cause);
  if (code === 'ETIMEDOUT') return networkFailure(attempted, cause);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return tlsFailure(
      attempted,
      `the server's certificate is not for the host ${attempted.endpoint.host}`,
      cause,
    );
  }
  const reason = cause instanceof Error ? cause.message.trim() : 'the handshake failed';
  return tlsFailure(attempted, code === 'ECONNRESET' ? 'the server ended the handshake' : reason, cause);
}

/** Waits for one event of a socket, and fails when it errs, closes or the deadline passes first. */
export function arrival(socket: Socket, event: string, deadline: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      socket.off(event, arrived).off('error', failed).off('close', closed);
      deadline.removeEventListener('abort', aborted);
      finish();
    };
    const arrived = (value: unknown) => settle(() => resolve(value));
    const failed = (error: unknown) => settle(() => reject(error));
    const closed = () => failed(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    const aborted = () => failed(deadline.reason);
    socket.on(event, arrived).on('error', failed).on('close', closed);
    deadline.addEventListener('abort', aborted);
    if (deadline.aborted) aborted();
  });
}
