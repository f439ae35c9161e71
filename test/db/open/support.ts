import { chmodSync, chownSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SensordbError } from '../../../src/cli/errors.ts';
import { resolveConninfo } from '../../../src/db/conninfo/resolve.ts';
import { type OpenHooks, type OpenSql, openSql } from '../../../src/db/open.ts';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));

/** Opens a connection of a user who has neither files nor an environment, but for what is given. */
export function open(
  url: string,
  hooks: OpenHooks = {},
  env: Readonly<Record<string, string>> = {},
  home = '/nonexistent',
): Promise<OpenSql> {
  return openSql(resolveConninfo({ url, env, home }), hooks);
}

/** Gives the error with which a connection is refused; fails when it is not. */
export async function refusalOf(attempt: Promise<OpenSql>): Promise<SensordbError> {
  const outcome = await attempt.catch((error: SensordbError) => error);
  if (outcome instanceof Error) return outcome;
  await outcome.close();
  throw new Error('The connection was opened, and should not have been.');
}

/** Says whether a connection that can be opened is encrypted, and closes it. */
export async function isEncrypted(attempt: Promise<OpenSql>): Promise<boolean> {
  const connection = await attempt;
  const { rows } = await connection.run<{ ssl: boolean }>(
    'select ssl from pg_stat_ssl where pid = pg_backend_pid()',
  );
  await connection.close();
  return rows[0]?.ssl === true;
}

/** Gives the one value of a query that calls it `value`, over a connection of its own. */
export async function valueOn(
  url: string,
  query: string,
  env: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const connection = await open(url, {}, env);
  const { rows } = await connection.run<{ value: unknown }>(query);
  await connection.close();
  return rows[0]?.value;
}

/** Gives the path of a certificate of the fixtures. */
export function fixture(name: string): string {
  return join(FIXTURES, name);
}

/** Copies a file of the fixtures, as git keeps no permissions: a private key must not be readable by others. */
export function copyFixture(
  name: string,
  folder: string,
  options: {
    readonly mode?: number;
    readonly as?: string;
    readonly uid?: number;
    readonly gid?: number;
  } = {},
): string {
  const path = join(folder, options.as ?? name);
  copyFileSync(join(FIXTURES, name), path);
  if (options.uid !== undefined && options.gid !== undefined) chownSync(path, options.uid, options.gid);
  chmodSync(path, options.mode ?? 0o600);
  return path;
}
