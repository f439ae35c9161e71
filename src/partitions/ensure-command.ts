import type { Context } from '../cli/context.ts';
import { EXIT, type ExitCode, worstExitCode } from '../cli/exit-codes.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import { formatInstant, type Instant } from '../time/instant.ts';
import { changePartitions, type Scene } from './change.ts';
import { compare } from './coverage.ts';
import { movesSteps } from './drain-moves.ts';
import { type PreparedEnsure, prepareEnsure } from './ensure.ts';
import { type Conflict, type NewLeaf, runwayAfter } from './ensure-plan.ts';
import { renderEnsure } from './ensure-render.ts';
import { type EnsureOptions, parseEnsureRequest } from './ensure-request.ts';
import { type EnsureResult, runEnsure } from './ensure-run.ts';
import { guardWarning, leftGuardSteps } from './guard.ts';
import { runwayData } from './runway.ts';

/** Runs `partitions ensure`. */
export async function ensureCommand(context: Context, options: EnsureOptions): Promise<Outcome> {
  const request = parseEnsureRequest(options);
  const { months, weeks, days, until, from, interval, drain, guardDefault } = options;
  return await changePartitions<PreparedEnsure>(context, options, {
    command: 'partitions ensure',
    arguments: { months, weeks, days, until, from, interval, drain, guardDefault },
    logged: ['created', 'drained', 'conflicts'],
    prepare: ({ session, table, now, run }) => prepareEnsure(session, table, request, now, run),
    hasWork: ({ work, moves, partitions }) =>
      work.length + moves.moves.length + leftGuardSteps(partitions.default).length > 0,
    preview,
    carryOut,
  });
}

async function carryOut(prepared: PreparedEnsure, scene: Scene): Promise<Outcome> {
  const { session, run, now, warnings, update } = scene;
  const result = await runEnsure(session, prepared, run, update);
  return outcomeOf(prepared, result, now, warnings);
}

function preview(prepared: PreparedEnsure, { now, warnings }: Scene) {
  const { create, conflicts } = prepared.plan;
  const { moves } = prepared.moves;
  const drained = moves.map(({ leaf }) => ({ leaf, rows: leaf.rows.count }));
  return {
    work: [
      leftGuardSteps(prepared.partitions.default),
      ...prepared.work.map(({ steps }) => steps),
      ...movesSteps(prepared.partitions.default, moves),
    ].filter((steps) => steps.length > 0),
    outcome: outcomeOf(prepared, { created: create, drained, conflicts, error: null }, now, warnings),
    notes: conflicts
      .map(({ message, hint }) => `-- conflict: ${printable(message)}\n--   ${printable(hint)}\n`)
      .join(''),
    concerns: prepared.work.length + moves.length === 0 ? [] : defaultOids(prepared),
  };
}

function defaultOids({ partitions }: PreparedEnsure): readonly number[] {
  return partitions.default === null ? [] : [partitions.default.oid];
}

/** Shows a conflict as the JSON envelope has it. */
export function conflictData({ range, reason, message, hint, rows }: Conflict) {
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
  { created: made, drained, conflicts, error }: EnsureResult,
  now: Instant,
  warnings: readonly Warning[],
): Outcome {
  const { table, plan, partitions } = prepared;
  const created: readonly NewLeaf[] = [...made, ...drained.map(({ leaf }) => leaf)];
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
      drained: drained.map(({ leaf, rows }) => ({ name: leaf.name, rows })),
      conflicts: sortedConflicts.map(conflictData),
      ...runwayData(runway),
    },
    warnings: [...warnings, ...guardWarnings(prepared)],
    error: error?.facts ?? null,
    render: (style) =>
      renderEnsure(style, { prepared, created: sorted, conflicts: sortedConflicts, runway, now }),
  };
}

function guardWarnings({ work, moves, partitions }: PreparedEnsure): readonly Warning[] {
  const guarded = [
    ...work.filter(({ guard }) => guard !== null).map(({ leaf }) => leaf),
    ...moves.moves.filter(({ steps }) => steps.guard !== null).map(({ leaf }) => leaf),
  ];
  return guarded.length === 0 || partitions.default === null
    ? []
    : [guardWarning(partitions.default, guarded)];
}
