import { expect } from 'vitest';
import { type CliOptions, type CliResult, type Envelope, runCli } from './cli.ts';
import type { TestDatabase } from './server.ts';

/** The clock of tests that do not say otherwise: the middle of an ordinary month. */
const NOW = '2026-03-15T12:34:56Z';

/** Runs a command with `--json` on a database and parses the envelope. */
export async function runJson(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[],
  options: Omit<CliOptions, 'url'> = {},
): Promise<Envelope & { readonly exitCode: number }> {
  const result = await runCli([...argv, '--json'], { url: database.url, now: NOW, ...options });
  return { ...result.json(), exitCode: result.exitCode };
}

/** Runs `partitions ensure` with the given words. */
export async function ensure(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[],
  options: Omit<CliOptions, 'url'> = {},
): Promise<Envelope & { readonly exitCode: number }> {
  return await runJson(database, ['partitions', 'ensure', ...argv], options);
}

/** Runs a command as text. */
export async function runText(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[],
  options: Omit<CliOptions, 'url'> = {},
): Promise<CliResult> {
  return await runCli(argv, { url: database.url, now: NOW, ...options });
}

/** Runs `partitions ensure`, which has to succeed, and gives the names of the leaves it made. */
export async function created(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[],
  options: Omit<CliOptions, 'url'> = {},
): Promise<readonly string[]> {
  const result = await ensure(database, argv, options);
  expect({ error: result.error, conflicts: result.data.conflicts }).toEqual({ error: null, conflicts: [] });
  expect(result.exitCode).toBe(0);
  return result.data.created as readonly string[];
}

/** Lists the direct partitions of a table with their bounds, in the order of their names. */
export async function boundsOf(
  database: Pick<TestDatabase, 'sql'>,
  parent: string,
): Promise<readonly (readonly [string, string])[]> {
  const rows = await database.sql<{ name: string; bound: string }[]>`
    select c.relname as name, pg_get_expr(c.relpartbound, c.oid) as bound
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = ${parent}::regclass order by c.relname collate "C"`;
  return rows.map(({ name, bound }) => [name, bound] as const);
}
