import { hostname } from 'node:os';
import { sql } from 'kysely';
import type { ExitCode } from '../cli/exit-codes.ts';
import { type Session, uninterrupted } from './session.ts';
import { explainServerError } from './sqlstate.ts';
import { inTransaction } from './transaction.ts';

/** What is known of a run when it begins. */
export interface RunStart {
  readonly command: string;
  readonly table: { readonly schema: string; readonly name: string } | null;
  /** What was asked, without anything secret. */
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly startedAt: Date;
  readonly toolVersion: string;
}

/** What is known of a run when it ends. */
export interface RunEnd {
  readonly exitCode: ExitCode;
  readonly changed: boolean;
  readonly result: Readonly<Record<string, unknown>>;
}

const LOCK_TIMEOUT_MS = 5000;

/**
 * Writes a run's line into the run log and returns its id.
 *
 * A run that has work to do writes it before, without an end: killed, it leaves a line that says so. A run without
 * work writes the whole line at once.
 */
export async function logRun(session: Session, start: RunStart, end: RunEnd | null): Promise<string> {
  return await noting(session, async () => {
    const { id } = await session.db
      .insertInto('sensordb.run_log')
      .values({
        command: start.command,
        table_schema: start.table?.schema ?? null,
        table_name: start.table?.name ?? null,
        arguments: JSON.stringify(start.arguments),
        started_at: start.startedAt.toISOString(),
        ...endColumns(end),
        client_host: hostname(),
        client_pid: process.pid,
        tool_version: start.toolVersion,
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    return id;
  });
}

/** Completes a run's line; also that of a run that was interrupted. */
export async function finishRun(session: Session, id: string, end: RunEnd): Promise<void> {
  const calm = uninterrupted(session);
  await noting(calm, async () => {
    await calm.db
      .updateTable('sensordb.run_log')
      .set({ ...endColumns(end), finished_at: sql<string>`clock_timestamp()` })
      .where('id', '=', id)
      .execute();
  });
}

function endColumns(end: RunEnd | null) {
  if (end === null) return { finished_at: null, exit_code: null, changed: null, result: null };
  return {
    finished_at: sql<string>`clock_timestamp()`,
    exit_code: end.exitCode,
    changed: end.changed,
    result: JSON.stringify(end.result),
  };
}

async function noting<T>(session: Session, work: () => Promise<T>): Promise<T> {
  try {
    return await inTransaction(
      session,
      { access: 'read write', lockTimeoutMs: LOCK_TIMEOUT_MS },
      async () => {
        // The line need not wait for the disk: a crash of the server may lose the last second of it, the work's own commit waits.
        await session.run('set local synchronous_commit to off');
        return await work();
      },
    );
  } catch (thrown) {
    throw explainServerError(thrown, 'Writing the run log', 'sensordb.run_log');
  }
}
