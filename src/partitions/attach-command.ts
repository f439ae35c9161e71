import type { Context } from '../cli/context.ts';
import { EXIT, type ExitCode, worstExitCode } from '../cli/exit-codes.ts';
import type { Outcome } from '../cli/output.ts';
import { type PreparedAttach, prepareAttach } from './attach.ts';
import { type AttachOptions, parseAttachRequest } from './attach-request.ts';
import { changePartitions, type Scene } from './change.ts';
import { renderDetach } from './detach-render.ts';
import type { Refusal } from './gate.ts';
import { type Failure, worstFailure } from './leaf-failures.ts';
import type { TaskResult } from './leaf-tasks.ts';
import { foreseen, notesOf, workOf, workOff } from './task-command.ts';

/** Runs `partitions attach`. */
export async function attachCommand(
  context: Context,
  options: AttachOptions,
  names: readonly string[],
): Promise<Outcome> {
  const request = parseAttachRequest(options, names);
  const { from, until, guardDefault } = options;
  return await changePartitions<PreparedAttach>(context, options, {
    command: 'partitions attach',
    arguments: { names, from, until, guardDefault },
    logged: ['attached', 'conflicts', 'refused'],
    prepare: ({ session, table, run }) => prepareAttach(session, table, request, run),
    hasWork: ({ tasks }) => tasks.length > 0,
    preview,
    carryOut,
  });
}

async function carryOut(prepared: PreparedAttach, scene: Scene): Promise<Outcome> {
  return outcomeOf(prepared, await workOff(prepared.tasks, 'Attaching', scene), scene);
}

function preview(prepared: PreparedAttach, scene: Scene) {
  const { tasks, conflicts, partitions, warnings } = prepared;
  const byDefault = partitions.default === null || tasks.length === 0 ? [] : [partitions.default.oid];
  return {
    work: workOf(tasks),
    outcome: outcomeOf(prepared, foreseen(tasks), scene),
    notes: notesOf(warnings, 'conflict', conflicts),
    concerns: [...tasks.map(({ leaf }) => leaf.oid), ...byDefault],
  };
}

function outcomeOf(prepared: PreparedAttach, result: TaskResult, { table, warnings }: Scene): Outcome {
  const { existing } = prepared;
  const done = result.done.filter(({ kind }) => kind === 'attach');
  const failures: readonly Failure[] = [
    ...prepared.conflicts.map((conflict) => ({ ...conflict, exitCode: EXIT.no })),
    ...result.failed,
  ];
  const codes: ExitCode[] = [
    ...failures.map(({ exitCode }) => exitCode),
    result.error?.exitCode ?? EXIT.done,
  ];
  const exitCode = worstExitCode(codes);
  const shown = (isConflict: boolean): readonly Refusal[] =>
    failures
      .filter((failure) => (failure.exitCode === EXIT.no) === isConflict)
      .map(({ name, reason, message, hint }) => ({ name, reason, message, hint }));
  const [conflicts, refused] = [shown(true), shown(false)];
  return {
    exitCode,
    changed: result.changed,
    data: {
      table: { schema: table.schema, name: table.name },
      attached: done.map(({ leaf }) => leaf.name),
      existing,
      conflicts,
      refused,
      finalized: done.filter(({ leaf }) => leaf.state === 'detach_pending').map(({ leaf }) => leaf.name),
    },
    warnings: [...warnings, ...prepared.warnings, ...result.warnings],
    error: (result.error ?? worstFailure(failures, exitCode))?.facts ?? null,
    render: (style) =>
      renderDetach(style, {
        table,
        tasks: done,
        refused: [...conflicts, ...refused],
        already: existing,
      }),
  };
}
