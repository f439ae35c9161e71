import type { Context } from '../cli/context.ts';
import { stepsAsData, stepsAsScript } from '../cli/dry-run.ts';
import { budgetOf, type ChangeOptions, type GlobalOptions } from '../cli/options.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { startProgress } from '../cli/progress.ts';
import { printable } from '../cli/table.ts';
import { withSession } from '../cli/with-session.ts';
import { type Blocker, describeBlocker, findBlockers } from '../db/blockers.ts';
import type { RunOptions } from '../db/budget.ts';
import { type PartitionedTable, readPartitionedTable } from '../db/catalog.ts';
import { withLock } from '../db/lock.ts';
import type { RunStart } from '../db/run-log.ts';
import type { Session } from '../db/session.ts';
import { joinWork, type Step, strongestLocks } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { requireWritable } from '../db/writable.ts';
import { type RunRecord, readStateSteps, recordRun } from '../migrate/logged.ts';
import { fromDate, type Instant } from '../time/instant.ts';
import { describeConcerned, readConcerned } from './concerned.ts';

/** The options of every command that changes the partitions of a table. */
export interface ChangeTableOptions extends GlobalOptions, ChangeOptions {
  readonly table: string;
}

/** What a command works with. */
export interface Scene {
  readonly session: Session;
  readonly table: PartitionedTable;
  readonly now: Instant;
  /** What lies before it is over by this machine's clock and by the server's: a clock that is ahead retires nothing early. */
  readonly past: Instant;
  readonly run: RunOptions;
  readonly warnings: readonly Warning[];
  /** Tells the user what the run is at. */
  readonly update: (text: string) => void;
}

/** What would be done: shown by `--dry-run`. */
interface Preview {
  /** Each piece of work, such as one leaf, numbers its transactions for itself. */
  readonly work: readonly (readonly Step[])[];
  /** The outcome that a run would have if nothing came in between. */
  readonly outcome: Outcome;
  /** Lines of comment for the head of the script, `-- …` each with a line end. */
  readonly notes: string;
  /** The tables whose rows the work concerns. */
  readonly concerns: readonly number[];
}

/** Asks somebody a question that is answered by yes or no. */
export type Ask = (question: string) => Promise<boolean>;

/** A command that changes the partitions of a table, as the functions that it is made of. */
export interface Change<Prepared> {
  /** `partitions detach` */
  readonly command: string;
  /** What was asked, for the run log. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The keys of the outcome's data that the run log keeps. */
  readonly logged: readonly string[];
  /** Reads and plans, under the lock on the table; changes nothing. After `confirm` it is given what was agreed to. */
  readonly prepare: (scene: Scene, agreed: Prepared | null) => Promise<Prepared>;
  /**
   * Asks whether to do what was planned; gives the outcome of the run when nobody agrees.
   *
   * The lock on the table is not held meanwhile, since people take their time: it is planned again under it.
   */
  readonly confirm?: (prepared: Prepared, scene: Scene, ask: Ask) => Promise<Outcome | null>;
  readonly hasWork: (prepared: Prepared) => boolean;
  readonly preview: (prepared: Prepared, scene: Scene) => Preview;
  /** Carries the plan out, which may be one without work. */
  readonly carryOut: (prepared: Prepared, scene: Scene) => Promise<Outcome>;
}

/**
 * Runs a command that changes the partitions of a table, from its options to its outcome: connection, table, lock, run log.
 *
 * With `--dry-run` it takes no lock, writes nothing, and shows the steps.
 */
export async function changePartitions<Prepared>(
  context: Context,
  options: ChangeTableOptions,
  change: Change<Prepared>,
): Promise<Outcome> {
  const budget = budgetOf(options);
  return await withSession(context, options, async ({ session, warnings }) => {
    requireWritable(session);
    const table = await reading(session, () => readPartitionedTable(session, options.table));
    const startedAt = context.now();
    const earlier = new Date(Math.min(startedAt.getTime(), session.server.clockMs));
    const facts = { session, table, now: fromDate(startedAt), past: fromDate(earlier), warnings };
    const show = async <T>(work: (scene: Scene) => Promise<T>): Promise<T> => {
      const progress = await startProgress(`Reading the partitions of ${table.name}`, options, context);
      const { update } = progress;
      try {
        return await work({ ...facts, run: { budget, onWait: update }, update });
      } finally {
        progress.stop();
      }
    };
    if (options.dryRun === true) return await show((scene) => dryRun(change, scene, context.version));
    const start = runStart(context, options, change, table, startedAt);
    const record = recordRun(session, start, { budget, onWait: () => {} }, change.logged);
    const agreed = await agree(context, change, record, show);
    return agreed.declined ?? (await show((scene) => logged(change, scene, start, agreed.prepared)));
  });
}

function runStart<Prepared>(
  context: Context,
  { table: text, lockTimeout, wait }: ChangeTableOptions,
  change: Change<Prepared>,
  { schema, name }: PartitionedTable,
  startedAt: Date,
): RunStart {
  return {
    command: change.command,
    table: { schema, name },
    arguments: { table: text, lockTimeout, wait, ...change.arguments },
    startedAt,
    toolVersion: context.version,
  };
}

/** Plans and asks, where a command wants to be confirmed; progress is not shown beside a question. */
async function agree<Prepared>(
  context: Context,
  { prepare, confirm }: Change<Prepared>,
  record: RunRecord,
  show: <T>(work: (scene: Scene) => Promise<T>) => Promise<T>,
): Promise<{ readonly prepared: Prepared | null; readonly declined: Outcome | null }> {
  if (confirm === undefined) return { prepared: null, declined: null };
  try {
    const [prepared, scene] = await show(async (shown) => [await prepare(shown, null), shown] as const);
    const declined = await confirm(prepared, scene, async (question) => {
      const { askYesOrNo } = await import('../cli/ask.ts');
      return await askYesOrNo(context, question);
    });
    return { prepared, declined: declined === null ? null : await record.decline(declined) };
  } catch (thrown) {
    await record.fail(thrown);
    throw thrown;
  }
}

async function logged<Prepared>(
  change: Change<Prepared>,
  scene: Scene,
  start: RunStart,
  agreed: Prepared | null,
): Promise<Outcome> {
  const { session, table, run } = scene;
  const record = recordRun(session, start, run, change.logged);
  try {
    const target = { kind: 'table', oid: table.oid, name: table.qualified } as const;
    return await withLock(session, target, run.budget, async (locked) => {
      const prepared = await change.prepare({ ...scene, session: locked }, agreed);
      if (change.hasWork(prepared)) await record.begin();
      return await record.end(await change.carryOut(prepared, { ...scene, session: locked }));
    });
  } catch (thrown) {
    await record.fail(thrown);
    throw thrown;
  }
}

async function dryRun<Prepared>(change: Change<Prepared>, scene: Scene, version: string): Promise<Outcome> {
  const { session, run } = scene;
  const { work, outcome, notes, concerns } = change.preview(await change.prepare(scene, null), scene);
  // What the steps write into must be there when the script runs.
  const own = work.some((steps) => steps.some(({ sql }) => sql.includes('sensordb.')))
    ? await readStateSteps(session, version)
    : [];
  const steps = joinWork([...own, ...work]);
  const locks = strongestLocks(steps.flatMap((step) => step.locks));
  const blockers = await reading(session, () => findBlockers(session.db, locks));
  const concerned = await readConcerned(session, concerns);
  return {
    ...outcome,
    changed: false,
    data: { ...outcome.data, steps: stepsAsData(steps), concerned, blockers },
    render: () =>
      stepsAsScript(
        steps,
        run.budget.lockTimeoutMs,
        `${notes}${describeConcerned(concerned)}${describeBlockers(blockers)}`,
      ),
  };
}

function describeBlockers(blockers: readonly Blocker[]): string {
  return blockers.map((blocker) => `-- in the way now: ${printable(describeBlocker(blocker))}\n`).join('');
}
