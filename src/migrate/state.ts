import { failure } from '../cli/errors.ts';
import type { RunOptions } from '../db/budget.ts';
import { withLock } from '../db/lock.ts';
import { quoteIdentifier } from '../db/quote.ts';
import { runTransaction } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import type { Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { type MigrationFile, readMigrationFiles } from './files.ts';
import { readHistory, readStateFacts, STATE_SCHEMA } from './history.ts';
import { type MigrationState, planMigrations } from './plan.ts';
import { migrationSteps, schemaStep } from './steps.ts';

/** The state of sensordb's own schema: what is pending, and whether the schema itself is there. */
export interface OwnState {
  readonly schemaExists: boolean;
  readonly migrations: MigrationState;
}

/** Reads the state of sensordb's own schema; never writes. */
export async function readOwnState(session: Session): Promise<OwnState> {
  const { schemaExists, historyExists } = await readStateFacts(session);
  const applied = historyExists ? await readHistory(session, STATE_SCHEMA) : [];
  return { schemaExists, migrations: planMigrations(readMigrationFiles('state'), applied) };
}

/**
 * Makes sure that sensordb's own tables are there and up to date: the first changing command applies its migrations.
 *
 * Returns whether it had to. Takes the lock on migrations only when something is pending, and reads the history again
 * under it. Throws `insufficient_privilege` (exit 1) when the role may not make schema sensordb, naming the remedy.
 */
export async function ensureOwnState(
  session: Session,
  options: RunOptions,
  toolVersion: string,
): Promise<boolean> {
  const before = await reading(session, () => readOwnState(session));
  if (before.migrations.pending.length === 0) return false;
  await withLock(session, { kind: 'migrations' }, options.budget, async (locked) => {
    const own = await reading(locked, () => readOwnState(locked));
    refuseProblems(own.migrations);
    for (const steps of ownStateSteps(own, toolVersion)) {
      try {
        await runTransaction(locked, steps, options);
      } catch (thrown) {
        throw explain(thrown, locked);
      }
    }
  });
  return true;
}

/** Makes the steps for what is pending of sensordb's own schema: a list for each transaction. */
export function ownStateSteps(own: OwnState, toolVersion: string): readonly (readonly Step[])[] {
  return own.migrations.pending.map((file: MigrationFile, at) => {
    const transaction = at + 1;
    const steps = migrationSteps(file, { schema: STATE_SCHEMA, toolVersion }, transaction);
    return at === 0 && !own.schemaExists ? [schemaStep(transaction), ...steps] : steps;
  });
}

/** Throws when files and history contradict each other: nothing is applied on top of that. */
export function refuseProblems({ problems }: MigrationState): void {
  const [first] = problems;
  if (first === undefined) return;
  throw failure(`migration_${first.problem}`, first.message, {
    object: `${String(first.version).padStart(4, '0')}_${first.name}`,
    hint: first.hint,
  });
}

function explain(thrown: unknown, session: Session): unknown {
  if (sqlstateOf(thrown) !== SQLSTATE.insufficientPrivilege) return thrown;
  const { user, database } = session.server;
  return failure(
    'insufficient_privilege',
    `Role ${user} may not make sensordb's own schema ${STATE_SCHEMA}.`,
    {
      sqlstate: SQLSTATE.insufficientPrivilege,
      object: STATE_SCHEMA,
      hint: `GRANT CREATE ON DATABASE ${quoteIdentifier(database)} TO ${quoteIdentifier(user)}, or have its owner run: sensordb migrate up --state-only.`,
      cause: thrown,
    },
  );
}
