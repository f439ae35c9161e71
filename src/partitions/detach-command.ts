import type { Context } from '../cli/context.ts';
import { EXIT, type ExitCode, worstExitCode } from '../cli/exit-codes.ts';
import type { Outcome } from '../cli/output.ts';
import { changePartitions, type Scene } from './change.ts';
import { compare } from './coverage.ts';
import { type PreparedDetach, prepareDetach } from './detach.ts';
import { renderDetach } from './detach-render.ts';
import { type DetachOptions, parseDetachRequest } from './detach-request.ts';
import { type Failure, refusedByPlan, worstFailure } from './leaf-failures.ts';
import type { LeafTask, TaskResult } from './leaf-tasks.ts';
import { foreseen, notesOf, workOf, workOff } from './task-command.ts';

/** Runs `partitions detach`. */
export async function detachCommand(
  context: Context,
  options: DetachOptions,
  names: readonly string[],
): Promise<Outcome> {
  const request = parseDetachRequest(options, names);
  const { olderThan, before, intoSchema, yes, gate } = options;
  return await changePartitions<PreparedDetach>(context, options, {
    command: 'partitions detach',
    arguments: { names, olderThan, before, intoSchema, yes, noGate: !gate },
    logged: ['detached', 'finalized', 'refused', 'overridden'],
    prepare: ({ session, table, past, run }) => prepareDetach(session, table, request, past, run),
    hasWork: ({ tasks }) => tasks.length > 0,
    preview,
    carryOut,
  });
}

async function carryOut(prepared: PreparedDetach, scene: Scene): Promise<Outcome> {
  return outcomeOf(prepared, await workOff(prepared.tasks, 'Detaching', scene), scene);
}

function preview(prepared: PreparedDetach, scene: Scene) {
  const { tasks, refused, warnings } = prepared;
  return {
    work: workOf(tasks),
    outcome: outcomeOf(prepared, foreseen(tasks), scene),
    notes: notesOf(warnings, 'refused', refused),
    concerns: tasks.map(({ leaf }) => leaf.oid),
  };
}

/** In the order of the lower bounds: what an interrupted run had begun is done before the rest. */
const namesOf = (tasks: readonly LeafTask[], ...kinds: readonly LeafTask['kind'][]) =>
  tasks
    .filter(({ kind }) => kinds.includes(kind))
    .toSorted((a, b) => compare(a.range.lower, b.range.lower))
    .map(({ leaf }) => leaf.name);

function outcomeOf(prepared: PreparedDetach, result: TaskResult, { table, warnings }: Scene): Outcome {
  const { already, overridden, request } = prepared;
  const failures: readonly Failure[] = [...prepared.refused.map(refusedByPlan), ...result.failed];
  const codes: ExitCode[] = [
    ...failures.map(({ exitCode }) => exitCode),
    result.error?.exitCode ?? EXIT.done,
  ];
  const exitCode = worstExitCode(codes);
  const data = {
    table: { schema: table.schema, name: table.name },
    detached: namesOf(result.done, 'detach', 'finalize', 'complete'),
    refused: failures.map(({ name, reason, message, hint }) => ({ name, reason, message, hint })),
    finalized: namesOf(result.done, 'finalize'),
    moved: namesOf(result.done, 'move'),
    already,
    intoSchema: request.intoSchema,
    overridden: overridden.map(({ name, reason }) => ({ name, reason })),
  };
  return {
    exitCode,
    changed: result.changed,
    data,
    warnings: [...warnings, ...prepared.warnings, ...result.warnings],
    error: (result.error ?? worstFailure(failures, exitCode))?.facts ?? null,
    render: (style) => renderDetach(style, { table, tasks: result.done, refused: data.refused, already }),
  };
}
