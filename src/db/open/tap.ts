import type { Socket } from 'node:net';
import type { ServerMessage } from './failures.ts';

/** What can be learnt of the server's messages beside the driver. */
export interface Tap {
  /** Gives the FATAL error that was the last thing the server said, if it was. */
  readonly lastWords: () => ServerMessage | null;
  /** Says whether the server asked for a proof of identity that the driver cannot give. */
  readonly wantsForeignAuthentication: () => boolean;
}

const AUTHENTICATION = 0x52;
const ERROR_RESPONSE = 0x45;

/** Authentication that is no matter of passwords: Kerberos, GSSAPI (two messages), SSPI. */
const FOREIGN_METHODS: ReadonlySet<number> = new Set([2, 7, 8, 9]);

/**
 * Listens in on what the server says, before the driver does.
 *
 * postgres.js (3.4.9) forgets the FATAL error that ends a session, idle or not, and waits for ever when it is
 * asked for a way to authenticate that it does not know.
 */
export function tapSocket(socket: Socket): Tap {
  let last: Buffer | null = null;
  let foreign = false;
  socket.once('data', (chunk: Buffer) => {
    foreign = chunk[0] === AUTHENTICATION && chunk.length >= 9 && FOREIGN_METHODS.has(chunk.readUInt32BE(5));
    // The driver would print a line about it; as an "ok" it is nothing to it, and the login is given up here.
    if (foreign) chunk.writeUInt32BE(0, 5);
  });
  socket.on('data', (chunk: Buffer) => {
    last = chunk;
  });
  return {
    lastWords: () => (last === null ? null : findFatal(last)),
    wantsForeignAuthentication: () => foreign,
  };
}

/** Finds a FATAL or PANIC error in a run of protocol messages; null in anything else. */
function findFatal(chunk: Buffer): ServerMessage | null {
  let at = 0;
  while (at + 5 <= chunk.length) {
    const end = at + 1 + chunk.readUInt32BE(at + 1);
    if (end > chunk.length || end < at + 5) return null;
    const fields = chunk[at] === ERROR_RESPONSE ? readFields(chunk.subarray(at + 5, end)) : null;
    const severity = fields?.get('V') ?? fields?.get('S');
    if (fields && (severity === 'FATAL' || severity === 'PANIC')) {
      return { code: fields.get('C') ?? null, message: fields.get('M') ?? '' };
    }
    at = end;
  }
  return null;
}

// Field V is the severity in English whatever the server's language (PostgreSQL 9.6 and up); PgBouncer 1.18 sends S alone.
function readFields(body: Buffer): ReadonlyMap<string, string> {
  const fields = body.toString('utf8').split('\0').filter(Boolean);
  return new Map(fields.map((field) => [field.slice(0, 1), field.slice(1)]));
}
