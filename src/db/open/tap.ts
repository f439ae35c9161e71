import type { Socket } from 'node:net';
import type { ServerMessage } from './failures.ts';

/** What can be learnt of the server's messages beside the driver. */
export interface Tap {
  /** Gives the FATAL error that was the last thing the server said, if it was. */
  readonly lastWords: () => ServerMessage | null;
  /** Gives the first demand of the server for authentication, as the number the protocol has for it. */
  readonly authentication: () => number | null;
}

const AUTHENTICATION = 0x52;
const ERROR_RESPONSE = 0x45;

/**
 * Listens in on what the server says.
 *
 * postgres.js forgets the FATAL error that ends a session, idle or not, and prints and then hangs when it is
 * asked for a way to authenticate that it does not know.
 */
export function tapSocket(socket: Socket): Tap {
  let first: Buffer | null = null;
  let last: Buffer | null = null;
  socket.on('data', (chunk: Buffer) => {
    first ??= Buffer.from(chunk.subarray(0, 9));
    last = chunk;
  });
  return {
    lastWords: () => (last === null ? null : findFatal(last)),
    authentication: () =>
      first !== null && first[0] === AUTHENTICATION && first.length >= 9 ? first.readUInt32BE(5) : null,
  };
}

/** Finds a FATAL or PANIC error in a run of protocol messages; null in anything else. */
function findFatal(chunk: Buffer): ServerMessage | null {
  let at = 0;
  while (at + 5 <= chunk.length) {
    const end = at + 1 + chunk.readUInt32BE(at + 1);
    if (end > chunk.length || end < at + 5) return null;
    const fields = chunk[at] === ERROR_RESPONSE ? readFields(chunk.subarray(at + 5, end)) : null;
    const severity = fields?.get('V');
    if (fields && (severity === 'FATAL' || severity === 'PANIC')) {
      return { code: fields.get('C') ?? null, message: fields.get('M') ?? '' };
    }
    at = end;
  }
  return null;
}

// Field V is the severity in English whatever the server's language (PostgreSQL 9.6 and up).
function readFields(body: Buffer): ReadonlyMap<string, string> {
  const fields = body.toString('utf8').split('\0').filter(Boolean);
  return new Map(fields.map((field) => [field.slice(0, 1), field.slice(1)]));
}
