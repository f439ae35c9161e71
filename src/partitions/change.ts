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
import { readStateSteps, recordRun } from '../migrate/logged.ts';
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

/** A command that changes the partitions of a table, as the functions that it is made of. */
export interface Change<Prepared> {
  /** `partitions detach` */
  readonly command: string;
  /** What was asked, for the run log. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The keys of the outcome's data that the run log keeps. */
  readonly logged: readonly string[];
  /** Reads and plans, under the lock on the table; changes nothing. */
  readonly prepare: (scene: Scene) => Promise<Prepared>;
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
    const progress = await startProgress(`Reading the partitions of ${table.name}`, options, context);
    const { update } = progress;
    const run: RunOptions = { budget, onWait: update };
    const scene: Scene = { session, table, now: fromDate(startedAt), run, warnings, update };
    try {
      if (options.dryRun === true) return await dryRun(change, scene, context.version);
      const start: RunStart = {
        command: change.command,
        table: { schema: table.schema, name: table.name },
        arguments: {
          table: options.table,
          lockTimeout: options.lockTimeout,
          wait: options.wait,
          ...change.arguments,
        },
        startedAt,
        toolVersion: context.version,
      };
      return await logged(change, scene, start);
    } finally {
      progress.stop();
    }
  });
}

async function logged<Prepared>(change: Change<Prepared>, scene: Scene, start: RunStart): Promise<Outcome> {
  const { session, table, run } = scene;
  const record = recordRun(session, start, run, change.logged);
  try {
    const target = { kind: 'table', oid: table.oid, name: table.qualified } as const;
    return await withLock(session, target, run.budget, async (locked) => {
      const prepared = await change.prepare({ ...scene, session: locked });
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
  const { work, outcome, notes, concerns } = change.preview(await change.prepare(scene), scene);
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
