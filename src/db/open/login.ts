import postgres from 'postgres';
import type { SensordbError } from '../../cli/errors.ts';
import { createClient } from './client.ts';
import { type Attempted, authFailure, errorCode, loginFailure, networkFailure } from './failures.ts';
import { type Tap, tapSocket } from './tap.ts';
import { arrival, type Wire } from './wire.ts';

/** The key by which the server lets a statement of this session be cancelled. */
interface Backend {
  readonly pid: number;
  readonly secret: number;
}

/** A session that is logged in. */
export interface Login {
  readonly sql: postgres.Sql;
  readonly tap: Tap;
  readonly backend: Backend;
  readonly inRecovery: boolean;
  readonly readOnly: boolean;
}

// Sent by the simple protocol, for poolers; its answers are for target_session_attrs.
// Every name is qualified, operators too: it runs under the role's own search_path, which may be hostile.
const FIRST_QUERY = `select pg_catalog.pg_is_in_recovery() as in_recovery,
  pg_catalog.current_setting('transaction_read_only') operator(pg_catalog.=) 'on' as read_only`;

const ignore = () => {};

/** Logs in over an open connection; on failure the connection is closed. */
export async function login(
  wire: Wire,
  attempted: Attempted,
  onNotice: (notice: postgres.Notice) => void,
  deadline: AbortSignal,
): Promise<Login> {
  const tap = tapSocket(wire.socket);
  let passwordIsMissing = false;
  const password = (): Promise<string> => {
    const { password: known } = attempted.endpoint;
    if (known !== null) return Promise.resolve(known());
    passwordIsMissing = true;
    wire.socket.destroy();
    // The driver must never get to answer: it would write to the socket that was just closed, and crash.
    return new Promise(ignore);
  };
  const sql = createClient({ ...attempted, socket: wire.socket, password, onNotice });
  const explain = (error: unknown): SensordbError => {
    if (passwordIsMissing) return authFailure(attempted, 'the server asks for a password and none is given');
    if (tap.wantsForeignAuthentication()) {
      return authFailure(attempted, 'the server asks for GSSAPI or SSPI, which the driver does not have');
    }
    return explainLogin(error, tap, attempted);
  };
  try {
    const rows = await firstAnswer(sql, wire, tap, deadline);
    const { pid, secret } = rows.state as unknown as Backend;
    const facts = rows[0];
    return {
      sql,
      tap,
      backend: { pid, secret },
      inRecovery: facts?.in_recovery === true,
      readOnly: facts?.read_only === true,
    };
  } catch (error) {
    const explained = explain(error);
    wire.socket.destroy();
    await sql.end({ timeout: 0 });
    throw explained;
  }
}

/** Waits for the answer to the first query, or for whatever shows that there will be none. */
async function firstAnswer(
  sql: postgres.Sql,
  wire: Wire,
  tap: Tap,
  deadline: AbortSignal,
): Promise<postgres.RowList<postgres.Row[]>> {
  const settled = new AbortController();
  const answer = sql.unsafe(FIRST_QUERY).execute();
  const closed = arrival(wire.socket, 'close', AbortSignal.any([deadline, settled.signal])).then(() => {
    throw Object.assign(new Error('closed'), { code: 'ECONNRESET' });
  });
  const foreign = new Promise<never>((_, reject) => {
    wire.socket.once('data', () => {
      if (tap.wantsForeignAuthentication()) reject(new Error('unknown authentication'));
    });
  });
  answer.catch(ignore);
  closed.catch(ignore);
  try {
    return await Promise.race([answer, closed, foreign]);
  } finally {
    settled.abort();
  }
}

function explainLogin(error: unknown, tap: Tap, attempted: Attempted): SensordbError {
  if (error instanceof postgres.PostgresError) return loginFailure(attempted, error, error);
  if (errorCode(error) === 'SASL_SIGNATURE_MISMATCH') {
    return authFailure(attempted, 'the server did not prove that it knows the password itself');
  }
  const words = tap.lastWords();
  return words === null ? networkFailure(attempted, error) : loginFailure(attempted, words, error);
}
