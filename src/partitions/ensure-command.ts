import type { Context } from '../cli/context.ts';
import { stepsAsData, stepsAsScript } from '../cli/dry-run.ts';
import { EXIT, type ExitCode, worstExitCode } from '../cli/exit-codes.ts';
import { budgetOf } from '../cli/options.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { startProgress } from '../cli/progress.ts';
import { printable } from '../cli/table.ts';
import { withSession } from '../cli/with-session.ts';
import { type PartitionedTable, readPartitionedTable } from '../db/catalog.ts';
import { withLock } from '../db/lock.ts';
import type { RunStart } from '../db/run-log.ts';
import type { RunOptions } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { requireWritable } from '../db/writable.ts';
import { type RunRecord, recordRun } from '../migrate/logged.ts';
import { formatInstant, fromDate, type Instant } from '../time/instant.ts';
import { compare } from './coverage.ts';
import { type EnsureResult, type PreparedEnsure, prepareEnsure, runEnsure } from './ensure.ts';
import { type Conflict, runwayAfter } from './ensure-plan.ts';
import { renderEnsure } from './ensure-render.ts';
import { type EnsureOptions, parseEnsureRequest } from './ensure-request.ts';
import type { EnsureRequest } from './ensure-sketch.ts';
import { runwayData } from './runway.ts';

/** Runs `partitions ensure`. */
export async function ensureCommand(context: Context, options: EnsureOptions): Promise<Outcome> {
  const request = parseEnsureRequest(options);
  const budget = budgetOf(options);
  return await withSession(context, options, async ({ session, warnings }) => {
    requireWritable(session);
    const table = await reading(session, () => readPartitionedTable(session, options.table));
    const startedAt = context.now();
    const now = fromDate(startedAt);
    const progress = await startProgress(`Reading the partitions of ${table.name}`, options, context);
    const run: RunOptions = { budget, onWait: progress.update };
    try {
      if (options.dryRun === true) {
        const prepared = await prepareEnsure(session, table, request, now, run);
        return dryRunOutcome(prepared, now, warnings, budget.lockTimeoutMs);
      }
      const start: RunStart = {
        command: 'partitions ensure',
        table: { schema: table.schema, name: table.name },
        arguments: argumentsOf(options),
        startedAt,
        toolVersion: context.version,
      };
      const record = recordRun(session, start, run, LOGGED);
      try {
        const target = { kind: 'table', oid: table.oid, name: table.qualified } as const;
        return await withLock(session, target, budget, (locked) =>
          ensureLocked(locked, table, request, { now, record, run, warnings, update: progress.update }),
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

interface RunContext {
  readonly now: Instant;
  readonly record: RunRecord;
  readonly run: RunOptions;
  readonly warnings: readonly Warning[];
  readonly update: (text: string) => void;
}

async function ensureLocked(
  session: Session,
  table: PartitionedTable,
  request: EnsureRequest,
  { now, record, run, warnings, update }: RunContext,
): Promise<Outcome> {
  const prepared = await prepareEnsure(session, table, request, now, run);
  if (prepared.work.length === 0) {
    const nothing = { created: [], conflicts: prepared.plan.conflicts, error: null };
    return await record.end(outcomeOf(prepared, nothing, now, warnings));
  }
  await record.begin();
  let made = 0;
  const result = await runEnsure(session, prepared, run, (leaf) => {
    made += 1;
    update(`Creating ${leaf.name} (${made} of ${prepared.work.length})`);
  });
  return await record.end(outcomeOf(prepared, result, now, warnings));
}

/** The keys of the outcome's data that the run log keeps. */
const LOGGED = ['created', 'conflicts'];

function argumentsOf(options: EnsureOptions): Readonly<Record<string, unknown>> {
  const { months, weeks, days, until, from, interval, table, lockTimeout, wait } = options;
  return { table, months, weeks, days, until, from, interval, lockTimeout, wait };
}

function conflictData({ range, reason, message, hint, rows }: Conflict) {
  const [lower, upper] = [formatInstant(range.lower), formatInstant(range.upper)];
  const inDefault =
    rows === undefined
      ? {}
      : {
          rows: rows.count,
          earliest: formatInstant(rows.earliest),
          latest: formatInstant(rows.latest),
        };
  return { lower, upper, reason, message, hint, ...inDefault };
}

function outcomeOf(
  prepared: PreparedEnsure,
  { created, conflicts, error }: EnsureResult,
  now: Instant,
  warnings: readonly Warning[],
): Outcome {
  const { table, plan, partitions } = prepared;
  const sorted = created.toSorted((a, b) => compare(a.range.lower, b.range.lower));
  const sortedConflicts = conflicts.toSorted((a, b) => compare(a.range.lower, b.range.lower));
  const runway = runwayAfter(partitions.leaves, created, now);
  const codes: ExitCode[] = [conflicts.length === 0 ? EXIT.done : EXIT.no];
  if (error !== null) codes.push(error.exitCode);
  return {
    exitCode: worstExitCode(codes),
    changed: created.length > 0,
    data: {
      table: { schema: table.schema, name: table.name },
      interval: plan.interval,
      from: formatInstant(plan.range.lower),
      until: formatInstant(plan.range.upper),
      created: sorted.map(({ name }) => name),
      existing: plan.existing,
      conflicts: sortedConflicts.map(conflictData),
      ...runwayData(runway),
    },
    warnings,
    error: error?.facts ?? null,
    render: (style) =>
      renderEnsure(style, { prepared, created: sorted, conflicts: sortedConflicts, runway, now }),
  };
}

function dryRunOutcome(
  prepared: PreparedEnsure,
  now: Instant,
  warnings: readonly Warning[],
  lockTimeoutMs: number,
): Outcome {
  const { create, conflicts } = prepared.plan;
  const outcome = outcomeOf(prepared, { created: create, conflicts, error: null }, now, warnings);
  const steps = prepared.work.flatMap((work) => work.steps);
  const notes = conflicts
    .map(({ message, hint }) => `-- conflict: ${printable(message)}\n--   ${printable(hint)}\n`)
    .join('');
  return {
    ...outcome,
    changed: false,
    data: { ...outcome.data, steps: stepsAsData(steps) },
    render: () => stepsAsScript(steps, lockTimeoutMs, notes),
  };
}
