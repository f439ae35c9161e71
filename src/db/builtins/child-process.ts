// Takes the place of `child_process` in the bundle: commander loads it at every start for a feature that is not used here, and
// the embedded server, which does start processes, can wait for it.

type ChildProcess = typeof import('node:child_process');

const load = (): ChildProcess => process.getBuiltinModule('node:child_process');

/** Starts a process, as Node's own function of that name. */
export const spawn = ((...parameters: Parameters<ChildProcess['spawn']>) =>
  load().spawn(...parameters)) as ChildProcess['spawn'];
