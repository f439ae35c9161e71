import { expect } from 'vitest';
import { LOCK_MODES } from '../../src/db/lock-modes.ts';
import type { CliOptions } from './cli.ts';
import { type HeldLock, locksOf, strongest, tableOids } from './locks.ts';
import { runJson } from './partitions.ts';
import { startProxy } from './proxy.ts';
import type { TestDatabase } from './server.ts';
import { expectHeadsToTell } from './sql-heads.ts';

interface Step {
  readonly sql: string;
  readonly transaction: number | null;
  readonly locks: readonly HeldLock[];
}

/**
 * Runs a command, and compares statement for statement the locks that `--dry-run` printed with those that pg_locks shows.
 *
 * Within a transaction they add up, and must be the same after each statement. A statement outside of any releases them in
 * between: it is looked at over and over while it runs, and none that is seen may be missing or stronger than printed.
 */
export async function expectPrintedLocks(
  database: TestDatabase,
  words: readonly string[],
  options: Omit<CliOptions, 'url'> = {},
): Promise<void> {
  const planned = await runJson(database, [...words, '--dry-run'], options);
  expect(planned).toMatchObject({ exitCode: 0, error: null });
  const steps = planned.data.steps as readonly Step[];
  expectHeadsToTell(steps);
  const existing = await tableOids(database.sql);
  const printed: (readonly [string, unknown])[] = [];
  const held: (readonly [string, unknown])[] = [];
  const watching: Promise<readonly HeldLock[]>[] = [];
  const done = { at: -1 };
  const proxy = await startProxy(database.url, {
    before: ({ text, backendPid }) => {
      const step = steps[done.at + 1];
      if (step?.sql !== text || step.transaction !== null || step.locks.length === 0) return;
      const isOver = () => done.at >= steps.indexOf(step);
      watching.push(watchAlone(database, step, backendPid, existing, isOver));
    },
    after: async ({ text, backendPid }) => {
      const step = steps[done.at + 1];
      if (step?.sql !== text) return;
      done.at += 1;
      if (step.transaction === null) return;
      const soFar = steps.slice(0, done.at + 1).filter(({ transaction }) => transaction === step.transaction);
      printed.push([text, strongest(soFar.flatMap(({ locks }) => locks))]);
      held.push([text, strongest(await locksOf(database.sql, backendPid, existing, true))]);
    },
  });
  const run = await runJson({ url: proxy.url }, words, options);
  await proxy.close();
  expect(run).toMatchObject({ exitCode: 0, error: null });
  expect(held).toEqual(printed);
  expect((await Promise.all(watching)).flat()).toEqual([]);
  expect(done.at, 'every printed statement was sent').toBe(steps.length - 1);
}

/** Gives the locks that were seen and that are not printed, or as weaker ones. */
async function watchAlone(
  { sql }: TestDatabase,
  step: Step,
  pid: number,
  existing: readonly number[],
  isOver: () => boolean,
): Promise<readonly HeldLock[]> {
  const printed = strongest(step.locks);
  const seen: HeldLock[] = [];
  while (!isOver()) seen.push(...(await locksOf(sql, pid, existing, true)));
  return seen.filter(({ relation, mode }) => {
    const most = printed[relation];
    return most === undefined || LOCK_MODES.indexOf(mode) > LOCK_MODES.indexOf(most);
  });
}
