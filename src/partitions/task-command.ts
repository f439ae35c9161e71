import { printable } from '../cli/table.ts';
import type { Step } from '../db/step.ts';
import type { Scene } from './change.ts';
import type { Refusal } from './gate.ts';
import { type LeafTask, runTasks, type TaskResult } from './leaf-tasks.ts';
import { stepsOf } from './leaf-work.ts';

/** Works off the tasks of a command, and tells the user which leaf it is at; `verb` as in `Detaching`. */
export async function workOff(
  tasks: readonly LeafTask[],
  verb: string,
  { session, table, run, update }: Scene,
): Promise<TaskResult> {
  let count = 0;
  return await runTasks(session, table, tasks, run, ({ leaf }) => {
    count += 1;
    update(`${verb} ${leaf.name} (${count} of ${tasks.length})`);
  });
}

/** What would come of tasks if nothing came in between, for `--dry-run`. */
export function foreseen(tasks: readonly LeafTask[]): TaskResult {
  return { done: tasks, failed: [], error: null, changed: false, warnings: [] };
}

/** Lists the steps of tasks, each a piece of work of its own. */
export function workOf(tasks: readonly LeafTask[]): readonly (readonly Step[])[] {
  return tasks.map(({ first, rest }) => stepsOf([...first, ...rest]));
}

/** Says in comment lines what is to be known before, and what is left out: `what` as in `refused`. */
export function notesOf(
  warnings: readonly { readonly message: string }[],
  what: string,
  refusals: readonly Refusal[],
): string {
  return [
    ...warnings.map(({ message }) => `-- ${printable(message)}\n`),
    ...refusals.map(
      ({ name, message, hint }) =>
        `-- ${what}: ${printable(name)}: ${printable(message)}\n--   ${printable(hint)}\n`,
    ),
  ].join('');
}
