import { SensordbError } from '../cli/errors.ts';
import type { Warning } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import { createBudget, type RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import { runTransaction } from '../db/run-steps.ts';
import { type Session, uninterrupted } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { Step, StepLock } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { formatBound } from '../time/instant.ts';
import type { NewLeaf } from './ensure-plan.ts';
import { type DefaultPartition, GUARD } from './read.ts';

/** The steps around the making of one leaf under a guard. */
export interface GuardSteps {
  /** The DEFAULT partition that it is put on. */
  readonly on: DefaultPartition;
  readonly add: readonly Step[];
  readonly validate: readonly Step[];
  readonly drop: readonly Step[];
}

/** Names DEFAULT as the SQL files want it. */
export function guardTarget({ schema, name }: DefaultPartition) {
  return { default_schema: schema, default: name };
}

/**
 * Makes the steps of a CHECK on DEFAULT that refuses rows of a period, so that ATTACH need not scan it under a strong lock.
 *
 * PostgreSQL takes the CHECK as the proof that no row of DEFAULT belongs into the new leaf (14 to 18). From the first
 * step to the last, live rows of that very period are refused (23514).
 */
export function guardSteps(
  table: PartitionedTable,
  defaultPartition: DefaultPartition,
  leaf: NewLeaf,
): GuardSteps {
  const target = { ...guardTarget(defaultPartition), constraint: GUARD };
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  const title = `Guard ${printable(relation)} for ${printable(leaf.name)}`;
  const one = (file: string, values: Readonly<Record<string, string>>, mode: StepLock['mode']) => [
    {
      title,
      sql: sqlStatement(`partitions/${file}`, { ...target, ...values }),
      transaction: 1,
      locks: [{ relation, mode }],
    },
  ];
  const range = {
    key: table.key,
    lower: formatBound(leaf.range.lower, table.keyType),
    upper: formatBound(leaf.range.upper, table.keyType),
  };
  return {
    on: defaultPartition,
    add: one('guard_add.sql', range, 'ACCESS EXCLUSIVE'),
    validate: one('guard_validate.sql', {}, 'SHARE UPDATE EXCLUSIVE'),
    drop: one('guard_drop.sql', {}, 'ACCESS EXCLUSIVE'),
  };
}

/** Makes the step that removes a guard which a killed run has left; none if there is none. */
export function leftGuardSteps(defaultPartition: DefaultPartition | null): readonly Step[] {
  if (defaultPartition?.leftGuard == null) return [];
  const { schema, name, leftGuard } = defaultPartition;
  const relation = qualifiedName(schema, name);
  return [
    {
      title: `Remove the guard that an interrupted run left on ${printable(relation)}`,
      sql: sqlStatement('partitions/guard_drop.sql', {
        ...guardTarget(defaultPartition),
        constraint: leftGuard,
      }),
      transaction: 1,
      locks: [{ relation, mode: 'ACCESS EXCLUSIVE' }],
    },
  ];
}

/** Says that live rows were, or will be, refused. */
export function guardWarning(defaultPartition: DefaultPartition, leaves: readonly NewLeaf[]): Warning {
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  return {
    code: 'default_guarded',
    message: `${relation} refused rows (SQLSTATE 23514) of ${leaves.map(({ name }) => name).join(', ')} while a guard was on it.`,
  };
}

/**
 * Removes a guard when what it was put there for failed: it refuses live rows, so it must not stay, whatever has happened.
 *
 * Never throws: tells whether it is gone. One that is left is removed first of all by the next run.
 */
export async function removeGuard(
  session: Session,
  { on, drop }: GuardSteps,
  options: RunOptions,
): Promise<boolean> {
  const budget = createBudget(options.budget.lockTimeoutMs, REMOVAL_MS);
  const always = uninterrupted(session);
  const isGone = () => reading(always, () => readIsGone(always, on));
  try {
    // One that never came to be is not worth the lock.
    if (await isGone()) return true;
    await runTransaction(always, drop, { ...options, budget });
    return true;
  } catch {
    return await isGone().catch(() => false);
  }
}

async function readIsGone(session: Session, { oid }: DefaultPartition): Promise<boolean> {
  const { rows } = await session.run<{ isGone: boolean }>(
    `select not exists (select from pg_constraint c where c.conrelid = $1::oid and c.conname = $2) as "isGone"`,
    [oid, GUARD],
  );
  return rows[0]?.isGone === true;
}

function removalOf({ schema, name }: DefaultPartition): string {
  return `ALTER TABLE ${qualifiedName(schema, name)} DROP CONSTRAINT IF EXISTS ${GUARD}`;
}

/** Says that live rows are refused still, and which statement ends that. */
function guardLeftWarning(defaultPartition: DefaultPartition): Warning {
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  return {
    code: 'guard_left',
    message: `The guard ${GUARD} could not be removed from ${relation}, and refuses live rows (SQLSTATE 23514) until it is: ${removalOf(defaultPartition)}. The next run of ensure or drain removes it first, too.`,
  };
}

/** Says of which leaves live rows were refused, and whether they still are. */
export function guardWarnings(
  defaultPartition: DefaultPartition | null,
  guarded: readonly NewLeaf[],
  isLeft: boolean,
): readonly Warning[] {
  if (defaultPartition === null) return [];
  return [
    ...(guarded.length > 0 ? [guardWarning(defaultPartition, guarded)] : []),
    ...(isLeft ? [guardLeftWarning(defaultPartition)] : []),
  ];
}

/** Makes the error of a run whose guard is left out of what it failed of. */
export function guardLeftError(defaultPartition: DefaultPartition, cause: SensordbError): SensordbError {
  const { exitCode, facts } = cause;
  return new SensordbError({
    exitCode,
    code: facts.code,
    message: facts.message,
    sqlstate: facts.sqlstate ?? undefined,
    object: facts.object ?? undefined,
    hint: `A guard is left that refuses live rows; remove it: ${removalOf(defaultPartition)}. Or run this again with more time: it does so first.`,
    cause,
  });
}

/** How long the removal of a guard may wait for its lock, even when the budget is spent. */
const REMOVAL_MS = 5000;
