import { expect } from 'vitest';
import type { CliOptions, Envelope } from './cli.ts';
import { runJson } from './partitions.ts';
import type { TestDatabase } from './server.ts';

type Result = Envelope & { readonly exitCode: number };

/** Runs `partitions repair` on the table `readings` with the given words. */
export async function repair(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[] = [],
  options: Omit<CliOptions, 'url'> = {},
): Promise<Result> {
  const table = argv.includes('-t') ? [] : ['-t', 'readings'];
  return await runJson(database, ['partitions', 'repair', ...table, ...argv], options);
}

/** Runs it with `--check`, and gives leaf and thing of each drift: `readings_2026_02: index readings_at_idx`. */
export async function drift(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[] = [],
): Promise<readonly string[]> {
  const { error, data, exitCode } = await repair(database, ['--check', ...argv]);
  expect(error).toBeNull();
  const lines = lined(data.drift);
  expect(exitCode).toBe(lines.length === 0 ? 0 : 3);
  return lines;
}

/** Runs it, which has to mend all that it finds, and gives what it mended; a second run finds nothing. */
export async function mended(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[] = [],
): Promise<readonly string[]> {
  const { error, data, exitCode } = await repair(database, argv);
  expect({ error, refused: data.refused, blocked: data.blocked }).toEqual({
    error: null,
    refused: [],
    blocked: [],
  });
  expect(exitCode).toBe(0);
  expect(lined(data.mended).toSorted()).toEqual(lined(data.drift).toSorted());
  expect(await repair(database, argv)).toMatchObject({
    exitCode: 0,
    changed: false,
    data: { drift: [], mended: [], refused: [] },
  });
  return lined(data.mended);
}

function lined(drifts: readonly { readonly name: string; readonly what: string }[]): readonly string[] {
  return drifts.map(({ name, what }) => `${name}: ${what}`);
}
