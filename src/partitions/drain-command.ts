import type { Context } from '../cli/context.ts';
import { EXIT, type ExitCode, worstExitCode } from '../cli/exit-codes.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import { formatInstant } from '../time/instant.ts';
import { changePartitions, type Scene } from './change.ts';
import { dropSteps, giveUpGoneSteps } from './drain-aside.ts';
import { movesSteps } from './drain-moves.ts';
import type { LeftRows } from './drain-plan.ts';
import { renderDrain } from './drain-render.ts';
import { type DrainOptions, type DrainRequest, parseDrainRequest } from './drain-request.ts';
import { type DrainResult, type PreparedDrain, prepareDrain, runDrain } from './drain-whole.ts';
import { conflictData } from './ensure-command.ts';
import { guardWarnings, leftGuardSteps } from './guard.ts';

/** Runs `partitions drain`. */
export async function drainCommand(context: Context, options: DrainOptions): Promise<Outcome> {
  const request = parseDrainRequest(options);
  const { from, until, interval, notBefore, notAfter, batchRows, quarantine, guardDefault } = options;
  return await changePartitions<PreparedDrain>(context, options, {
    command: 'partitions drain',
    arguments: { from, until, interval, notBefore, notAfter, batchRows, quarantine, guardDefault },
    logged: ['drained', 'left', 'conflicts', 'quarantined'],
    prepare: (scene) => prepareDrain(scene, request),
    hasWork: ({ moves, quarantine: to, partitions }) =>
      moves.moves.length + moves.abandoned.length > 0 ||
      to !== null ||
      leftGuardSteps(partitions.default).length > 0,
    preview: (prepared, scene) => preview(prepared, scene),
    carryOut: (prepared, scene) => carryOut(prepared, scene, request),
  });
}

async function carryOut(prepared: PreparedDrain, scene: Scene, request: DrainRequest): Promise<Outcome> {
  return outcomeOf(prepared, await runDrain(prepared, scene, request), scene.warnings);
}

function preview(prepared: PreparedDrain, { warnings }: Scene) {
  const { moves, partitions, quarantine, left } = prepared;
  const whole = quarantine === null ? [] : [[...quarantine.create], [...quarantine.all]];
  const result: DrainResult = {
    drained: moves.moves.map(({ leaf }) => ({ leaf, rows: leaf.rows.count })),
    conflicts: prepared.conflicts,
    left: quarantine === null ? left : [],
    quarantined: quarantine === null ? null : left.reduce((sum, { rows }) => sum + rows.count, 0),
    defaultRows: 0,
    guarded: moves.moves.filter(({ steps }) => steps.guard !== null).map(({ leaf }) => leaf),
    isGuardLeft: false,
    error: null,
  };
  const drained = result.drained.reduce((sum, { rows }) => sum + rows, 0);
  return {
    work: [
      leftGuardSteps(partitions.default),
      ...(moves.moves.length + moves.abandoned.length > 0 ? [giveUpGoneSteps(prepared.table.qualified)] : []),
      ...moves.abandoned.map((one) => dropSteps(prepared.table.schema, one)),
      ...movesSteps(partitions.default, moves.moves),
      ...whole,
    ].filter((steps) => steps.length > 0),
    outcome: outcomeOf(
      prepared,
      {
        ...result,
        defaultRows:
          prepared.defaultRows === null ? null : prepared.defaultRows - drained - (result.quarantined ?? 0),
      },
      warnings,
    ),
    notes: notesOf(prepared),
    concerns: partitions.default === null || moves.moves.length === 0 ? [] : [partitions.default.oid],
  };
}

function notesOf({ conflicts, left, moves }: PreparedDrain): string {
  const batches =
    '-- a run copies each period in batches of its own, and waits for a quiet moment before it locks\n';
  return [
    ...(moves.moves.length > 0 ? [batches] : []),
    ...conflicts.map(({ message, hint }) => `-- conflict: ${printable(message)}\n--   ${printable(hint)}\n`),
    ...left.map(({ reason, rows }) => `-- left: ${rows.count} rows, ${reason}\n`),
  ].join('');
}

function leftData({ lower, upper, reason, rows }: LeftRows) {
  return {
    lower: lower === null ? null : formatInstant(lower),
    upper: upper === null ? null : formatInstant(upper),
    reason,
    rows: rows.count,
    earliest: formatInstant(rows.earliest),
    latest: formatInstant(rows.latest),
  };
}

function outcomeOf(prepared: PreparedDrain, result: DrainResult, warnings: readonly Warning[]): Outcome {
  const { table, partitions, quarantine } = prepared;
  const { drained, conflicts, left, quarantined, defaultRows, error } = result;
  const codes: ExitCode[] = [conflicts.length + left.length === 0 ? EXIT.done : EXIT.no];
  if (error !== null) codes.push(error.exitCode);
  const guards = guardWarnings(partitions.default, result.guarded, result.isGuardLeft);
  return {
    exitCode: worstExitCode(codes),
    changed: drained.length > 0 || (quarantined ?? 0) > 0,
    data: {
      table: { schema: table.schema, name: table.name },
      interval: prepared.interval,
      drained: drained.map(({ leaf, rows }) => ({
        name: leaf.name,
        lower: formatInstant(leaf.range.lower),
        upper: formatInstant(leaf.range.upper),
        rows,
      })),
      created: drained.map(({ leaf }) => leaf.name),
      left: left.map(leftData),
      conflicts: conflicts.map(conflictData),
      quarantined:
        quarantine === null || quarantined === null
          ? null
          : { table: { schema: quarantine.to.schema, name: quarantine.to.name }, rows: quarantined },
      defaultRows,
    },
    warnings: [...warnings, ...prepared.moves.warnings, ...guards],
    error: error?.facts ?? null,
    render: (style) => renderDrain(style, prepared, result),
  };
}
