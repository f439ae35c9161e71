/**
 * The exit codes of every command but `inspect --format nagios`.
 *
 * They are a contract with cron and CI: a code never changes its meaning.
 */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  no: 3,
  connection: 4,
  busy: 5,
  refused: 6,
  sigint: 130,
  sigterm: 143,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

interface ExitCodeMeaning {
  readonly code: ExitCode;
  readonly meaning: string;
}

/** Says what each exit code means, in the order in which one is chosen when several apply. */
export const EXIT_CODE_MEANINGS: readonly ExitCodeMeaning[] = [
  { code: EXIT.sigint, meaning: 'interrupted (SIGINT); the running statement was cancelled' },
  { code: EXIT.sigterm, meaning: 'terminated (SIGTERM); the running statement was cancelled' },
  { code: EXIT.usage, meaning: 'usage or configuration: nothing was changed' },
  { code: EXIT.connection, meaning: 'no connection: no server, or the login was refused' },
  { code: EXIT.failed, meaning: 'failed: a statement or a precondition failed' },
  { code: EXIT.refused, meaning: 'refused for safety: destructive without --yes, or held back by a gate' },
  {
    code: EXIT.busy,
    meaning: 'blocked or busy: the lock budget is spent, or another run holds the lock; try again',
  },
  {
    code: EXIT.no,
    meaning: 'ran, and the answer is no: pending, drift, findings, mismatches, conflicts left',
  },
  { code: EXIT.done, meaning: 'done, or nothing to do' },
];

/** Chooses the exit code of a run that had several outcomes: the first in the documented order. */
export function worstExitCode(codes: Iterable<ExitCode>): ExitCode {
  const seen = new Set(codes);
  return EXIT_CODE_MEANINGS.find(({ code }) => seen.has(code))?.code ?? EXIT.done;
}
