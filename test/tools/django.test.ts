import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runMigrations } from '../support/migrations.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

// Debian's own interpreter, which sees the packages that apt installs.
const PYTHON = '/usr/bin/python3';
const CHECK = fileURLToPath(new URL('django/check.py', import.meta.url));

interface Finished {
  readonly code: number | null;
  readonly output: string;
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  const { sql } = database;
  await runMigrations(sql, 'public');
  await sql`create table sensors_sensorreading_2026_01 partition of sensors_sensorreading
    for values from ('2026-01-01') to ('2026-02-01')`;
  await sql`create table sensors_sensorreading_2026_02 partition of sensors_sensorreading
    for values from ('2026-02-01') to ('2026-03-01')`;
});
afterAll(() => database.drop());

async function python(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  const child = spawn(PYTHON, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, output: stdout + stderr };
}

describe('Django on the migrated database', () => {
  it('finds its Debian packages', async () => {
    const found = await python(['-c', 'import django, psycopg2']).catch((error: Error) => ({
      code: null,
      output: error.message,
    }));
    expect(found, 'Install what this test needs: apt-get install python3-django python3-psycopg2').toEqual({
      code: 0,
      output: '',
    });
  });

  it('creates, reads, updates and deletes through its models', async () => {
    const { output, code } = await python([CHECK], connection(database));
    expect(output).not.toMatch(/^not ok|Traceback/m);
    expect(output).toMatch(/^ok /);
    expect(code).toBe(0);
  });
});

function connection({ url, name }: TestDatabase): Readonly<Record<string, string>> {
  const [, user = '', password = '', address = ''] =
    /^\w+:\/\/([^:@/]*)(?::([^@/]*))?@?([^/?]*)/.exec(url) ?? [];
  const parameters = new URLSearchParams(url.split('?')[1] ?? '');
  const [host = '', port = ''] = address.split(':');
  return {
    PGHOST: parameters.get('host') ?? host,
    PGPORT: parameters.get('port') ?? (port || '5432'),
    PGUSER: parameters.get('user') ?? decodeURIComponent(user),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: name,
  };
}
