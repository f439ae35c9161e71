import type { Context } from '../cli/context.ts';
import { budgetOf, type ChangeOptions, type GlobalOptions } from '../cli/options.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { startProgress } from '../cli/progress.ts';
import { withSession } from '../cli/with-session.ts';
import { withLock } from '../db/lock.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import { requireWritable } from '../db/writable.ts';
import { recordRun } from '../migrate/logged.ts';
import { currentHour } from './hours.ts';
import type { CountingScene } from './scene.ts';
import { readSource, type Source } from './source.ts';

/** The options of every command that changes aggregates. */
export interface ChangeAggregatesOptions extends GlobalOptions, ChangeOptions {
  readonly table: string;
}

/** A command that changes aggregates. */
interface Change {
  /** `aggregates refresh` */
  readonly command: string;
  /** What was asked, for the run log. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The keys of the outcome's data that the run log keeps. */
  readonly logged: readonly string[];
  /**
   * Finds that nothing is to be done, in the transaction that found the table; null: there may be something.
   *
   * It needs no lock: what another run is at is not committed, so that it is still to be done by what is seen here.
   */
  readonly idle?: (
    session: Session,
    source: Source,
    hour: number,
  ) => Promise<((warnings: readonly Warning[]) => Outcome) | null>;
  readonly carryOut: (scene: CountingScene, warnings: readonly Warning[]) => Promise<Outcome>;
  /** Shows what a run would do; takes no lock and writes nothing. */
  readonly preview: (scene: CountingScene, warnings: readonly Warning[]) => Promise<Outcome>;
}

/**
 * Runs a command that changes the aggregates of a table: connection, table, lock, run log.
 *
 * The lock is one of its own, beside that on the partitions: a backfill of hours must not keep cron from making leaves.
 */
export async function changeAggregates(
  context: Context,
  options: ChangeAggregatesOptions,
  change: Change,
): Promise<Outcome> {
  const budget = budgetOf(options);
  return await withSession(context, options, async ({ session, warnings }) => {
    requireWritable(session);
    const startedAt = context.now();
    const hour = currentHour(startedAt, session);
    const { source, idle } = await readStart(session, options, change, hour);
    const { table } = source;
    const progress = await startProgress(`Reading the aggregates of ${table.name}`, options, context);
    const { update } = progress;
    const run = { budget, onWait: update };
    const facts = {
      session,
      source,
      run,
      hour,
      update,
      begin: async () => {},
    };
    try {
      if (options.dryRun === true) return await change.preview(facts, warnings);
      const start = {
        command: change.command,
        table: { schema: table.schema, name: table.name },
        arguments: { table: options.table, ...change.arguments },
        startedAt,
        toolVersion: context.version,
      };
      const record = recordRun(session, start, run, change.logged);
      if (idle !== null) return await record.end(idle(warnings));
      return await underLock(facts, record, (scene) => change.carryOut(scene, warnings));
    } finally {
      progress.stop();
    }
  });
}

/** What keeps the look whether there is anything to do from an answer, and the work knows how to deal with. */
const LEFT_TO_THE_WORK: ReadonlySet<string | null> = new Set([
  SQLSTATE.lockNotAvailable, // Somebody holds a leaf: the work waits for it for as long as it may, and names who it is.
  SQLSTATE.numericValueOutOfRange, // A sum is too large.
]);

/** Finds the table, and whether there is nothing to do. */
async function readStart(
  session: Session,
  { table }: ChangeAggregatesOptions,
  { idle }: Pick<Change, 'idle'>,
  hour: number,
) {
  const read = (isIdle: Change['idle']) =>
    reading(session, async () => {
      const source = await readSource(session, table);
      return { source, idle: (await isIdle?.(session, source, hour)) ?? null };
    });
  try {
    return await read(idle);
  } catch (thrown) {
    if (!LEFT_TO_THE_WORK.has(sqlstateOf(thrown))) throw thrown;
    return await read(undefined);
  }
}

/** Works under the lock on the aggregates, with a line in the run log once something is about to change. */
async function underLock(
  facts: CountingScene,
  record: ReturnType<typeof recordRun>,
  work: (scene: CountingScene) => Promise<Outcome>,
): Promise<Outcome> {
  const { session, source, run } = facts;
  const { oid, qualified } = source.table;
  let began: Promise<void> | null = null;
  const begin = async (): Promise<void> => {
    began ??= record.begin();
    await began;
  };
  try {
    const target = { kind: 'aggregates', oid, name: `the aggregates of ${qualified}` } as const;
    return await withLock(session, target, run.budget, async (locked) =>
      record.end(await work({ ...facts, session: locked, begin })),
    );
  } catch (thrown) {
    await record.fail(thrown);
    throw thrown;
  }
}
