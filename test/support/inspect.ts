import { expect } from 'vitest';
import { type CliOptions, runCli } from './cli.ts';
import { createFolder } from './folder.ts';
import { schemaErrors } from './inspect-schema.ts';
import type { TestDatabase } from './server.ts';
import { until } from './until.ts';

/** A finding as `inspect --json` shows it. */
export interface ShownFinding {
  readonly check: string;
  readonly severity: 'critical' | 'warning' | 'unknown' | 'info';
  readonly object: string;
  readonly message: string;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly fix: readonly string[];
  readonly irreversible: readonly string[];
}

/** What `inspect --json` came to. */
export interface Inspection {
  readonly exitCode: number;
  readonly findings: readonly ShownFinding[];
  readonly passed: readonly string[];
  readonly notYet: readonly {
    readonly check: string;
    readonly ripeAt: string | null;
    readonly needs?: string;
  }[];
}

/** Runs `inspect --json` with the given words; it has to come to an answer, whatever that is. */
export async function inspect(
  database: Pick<TestDatabase, 'url'>,
  words: readonly string[] = [],
  options: Omit<CliOptions, 'url'> = {},
): Promise<Inspection> {
  const result = await runCli(['inspect', ...words, '--json'], { url: database.url, ...options });
  const { error, data } = result.json();
  expect(error).toBeNull();
  expect(schemaErrors(result.json())).toEqual([]);
  expect([0, 3]).toContain(result.exitCode);
  return { exitCode: result.exitCode, findings: data.findings, passed: data.passed, notYet: data.notYet };
}

/** Runs one check alone; `config` is the text of a config file. */
export async function inspectOnly(
  database: Pick<TestDatabase, 'url'>,
  check: string,
  { config, ...options }: Omit<CliOptions, 'url'> & { readonly config?: string } = {},
): Promise<Inspection> {
  const words = ['--only', check];
  if (config === undefined) return await inspect(database, words, options);
  const folder = createFolder();
  try {
    return await inspect(database, [...words, '--config', folder.write('sensordb.yaml', config)], options);
  } finally {
    folder.remove();
  }
}

/** Executes the fixes of findings as they were printed: SQL as a client would send it, commands of sensordb by their words. */
export async function applyFixes(
  database: Pick<TestDatabase, 'url' | 'sql'>,
  findings: readonly ShownFinding[],
  options: Omit<CliOptions, 'url'> = {},
): Promise<void> {
  for (const text of findings.flatMap(({ fix }) => fix)) {
    if (!text.startsWith('sensordb ')) {
      await database.sql.unsafe(text);
      continue;
    }
    const result = await runCli(shellWords(text).slice(1), { url: database.url, ...options });
    expect({ text, exitCode: result.exitCode, stderr: result.stderr }).toMatchObject({ text, exitCode: 0 });
  }
}

/** Leaves a partition half detached, as a DETACH CONCURRENTLY does that is cancelled while it waits for a reader. */
export async function halfDetach(
  { connect, sql }: Pick<TestDatabase, 'connect' | 'sql'>,
  parent: string,
  partition: string,
): Promise<void> {
  const [reader, detacher] = [connect(), connect()];
  await reader.unsafe(`begin; select count(*) from ${parent}`);
  const [{ pid } = { pid: 0 }] = await detacher<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const detach = detacher
    .unsafe(`alter table ${parent} detach partition ${partition} concurrently`)
    .catch((error) => error);
  await until(async () => (await sql`select from pg_inherits where inhdetachpending`).length > 0);
  await sql`select pg_cancel_backend(${pid})`;
  expect(await detach).toMatchObject({ code: '57014' });
  await reader.unsafe('rollback');
}

/** Takes a command line apart as a POSIX shell does, as far as sensordb prints any: single quotes, and `\'` outside of them. */
function shellWords(line: string): readonly string[] {
  const words = line.match(/(?:'[^']*'|\\.|[^\s'\\])+/g) ?? [];
  return words.map((word) =>
    word.replaceAll(/'([^']*)'|\\(.)/g, (_all, quoted, escaped) => quoted ?? escaped),
  );
}
