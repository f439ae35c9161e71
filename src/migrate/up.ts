import type { Context } from '../cli/context.ts';
import { stepsAsData, stepsAsScript } from '../cli/dry-run.ts';
import { failure, SensordbError } from '../cli/errors.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { budgetOf, type ChangeOptions, type GlobalOptions } from '../cli/options.ts';
import { type Outcome, toSensordbError, type Warning } from '../cli/output.ts';
import { startProgress } from '../cli/progress.ts';
import { withSession } from '../cli/with-session.ts';
import type { RunOptions } from '../db/budget.ts';
import { withLock } from '../db/lock.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { RunStart } from '../db/run-log.ts';
import { runTransaction } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import { requireWritable } from '../db/writable.ts';
import { type MigrationFile, readMigrationFiles } from './files.ts';
import { readHistory, readStateFacts, STATE_SCHEMA } from './history.ts';
import { type RunRecord, recordRun } from './logged.ts';
import { type MigrationState, planMigrations } from './plan.ts';
import { renderUp, type UpView } from './render.ts';
import { readTargetSchema } from './schema.ts';
import { ensureOwnState, ownStateSteps, readOwnState, refuseProblems } from './state.ts';
import { migrationSteps } from './steps.ts';

/** The options of `migrate up`. */
export interface UpOptions extends GlobalOptions, ChangeOptions {
  readonly schema?: string;
  readonly stateOnly?: boolean;
}

/** Compares the application's migrations with the history of a schema; never writes. */
export async function readApplicationState(session: Session, schema: string): Promise<MigrationState> {
  const { historyExists } = await readStateFacts(session);
  const applied = historyExists ? await readHistory(session, schema) : [];
  return planMigrations(readMigrationFiles('migrations'), applied);
}

/** Runs `migrate up`. */
export async function upCommand(context: Context, options: UpOptions): Promise<Outcome> {
  const budget = budgetOf(options);
  return await withSession(context, options, async ({ session, warnings }) => {
    requireWritable(session);
    const stateOnly = options.stateOnly === true;
    const schema = stateOnly
      ? STATE_SCHEMA
      : await reading(session, () => readTargetSchema(session, options.schema));
    const progress = await startProgress('Reading the migration history', options, context);
    const run: RunOptions = { budget, onWait: progress.update };
    try {
      if (options.dryRun === true) {
        return await dryRun(context, session, { schema, stateOnly, warnings }, budget.lockTimeoutMs);
      }
      const record = recordRun(session, startOf(context, schema), run, ['applied']);
      try {
        const madeState = await ensureOwnState(session, run, context.version);
        if (stateOnly) {
          return await record.end(outcomeOf({ schema, stateOnly, madeState, applied: [] }, warnings));
        }
        return await withLock(session, { kind: 'migrations' }, budget, (locked) =>
          upLocked(context, locked, { schema, madeState, record, run, warnings, update: progress.update }),
        );
      } catch (thrown) {
        await record.fail(thrown);
        throw thrown;
      }
    } finally {
      progress.stop();
    }
  });
}

function startOf(context: Context, schema: string): RunStart {
  return {
    command: 'migrate up',
    table: null,
    arguments: { schema },
    startedAt: context.now(),
    toolVersion: context.version,
  };
}

interface UpContext {
  readonly schema: string;
  readonly madeState: boolean;
  readonly record: RunRecord;
  readonly run: RunOptions;
  readonly warnings: readonly Warning[];
  readonly update: (text: string) => void;
}

async function upLocked(context: Context, session: Session, up: UpContext): Promise<Outcome> {
  const { schema, madeState, record, warnings } = up;
  // Read under the lock: another run may have applied some while this one waited.
  const state = await reading(session, () => readApplicationState(session, schema));
  refuseProblems(state);
  if (state.pending.length === 0) {
    return await record.end(outcomeOf({ schema, stateOnly: false, madeState, applied: [] }, warnings));
  }
  await record.begin();
  return await record.end(await applyAll(context, session, state.pending, up));
}

async function applyAll(
  context: Context,
  session: Session,
  pending: readonly MigrationFile[],
  { schema, madeState, run, warnings, update }: UpContext,
): Promise<Outcome> {
  const applied: MigrationFile[] = [];
  for (const file of pending) {
    update(`Applying ${file.file}`);
    try {
      await runTransaction(session, migrationSteps(file, { schema, toolVersion: context.version }, 1), run);
      applied.push(file);
    } catch (thrown) {
      const error = toSensordbError(
        session.signal.aborted ? session.signal.reason : explainDenied(thrown, session, schema),
      );
      const outcome = outcomeOf({ schema, stateOnly: false, madeState, applied }, warnings);
      return { ...outcome, exitCode: error.exitCode, error: error.facts };
    }
  }
  return outcomeOf({ schema, stateOnly: false, madeState, applied }, warnings);
}

/** Adds to a missing privilege which one it most likely is; an error of another kind stays as it is. */
function explainDenied(thrown: unknown, session: Session, schema: string): unknown {
  if (!(thrown instanceof SensordbError) || sqlstateOf(thrown) !== SQLSTATE.insufficientPrivilege) {
    return thrown;
  }
  const { user } = session.server;
  return failure('insufficient_privilege', thrown.message, {
    sqlstate: SQLSTATE.insufficientPrivilege,
    object: schema,
    hint: `Role ${user} must own what is changed, and have GRANT USAGE, CREATE ON SCHEMA ${quoteIdentifier(schema)} TO ${quoteIdentifier(user)}.`,
    cause: thrown,
  });
}

function outcomeOf(view: UpView, warnings: readonly Warning[]): Outcome {
  return {
    exitCode: EXIT.done,
    changed: view.applied.length > 0,
    data: {
      schema: view.schema,
      applied: view.applied.map(({ version, name }) => ({ version, name })),
      stateUpdated: view.madeState,
    },
    warnings,
    error: null,
    render: (style) => renderUp(style, view),
  };
}

async function dryRun(
  context: Context,
  session: Session,
  target: { readonly schema: string; readonly stateOnly: boolean; readonly warnings: readonly Warning[] },
  lockTimeoutMs: number,
): Promise<Outcome> {
  const { schema, stateOnly, warnings } = target;
  const toolVersion = context.version;
  const own = await reading(session, () => readOwnState(session));
  refuseProblems(own.migrations);
  const ownSteps = ownStateSteps(own, toolVersion);
  const pending = stateOnly ? [] : await readPending(session, schema);
  const steps = [
    ...ownSteps.flat(),
    ...pending.flatMap((file, at) => migrationSteps(file, { schema, toolVersion }, ownSteps.length + at + 1)),
  ];
  const outcome = outcomeOf(
    { schema, stateOnly, madeState: ownSteps.length > 0, applied: pending },
    warnings,
  );
  return {
    ...outcome,
    changed: false,
    data: { ...outcome.data, steps: stepsAsData(steps) },
    render: () => stepsAsScript(steps, lockTimeoutMs),
  };
}

async function readPending(session: Session, schema: string): Promise<readonly MigrationFile[]> {
  const application = await reading(session, () => readApplicationState(session, schema));
  refuseProblems(application);
  return application.pending;
}
