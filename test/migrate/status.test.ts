import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

const migrate = (...words: readonly string[]) =>
  runCli(['migrate', ...words, '--json'], { url: database.url });

describe('migrate status', () => {
  it('shows all as pending in an empty database, and writes nothing', async () => {
    const { exitCode, json } = await migrate('status');
    expect(exitCode).toBe(0);
    expect(json().data).toMatchObject({ schema: 'public', applied: [], problems: [] });
    expect(json().data.pending.map(({ version }: { version: number }) => version)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8,
    ]);
    expect(await database.sql`select from pg_namespace where nspname = 'sensordb'`).toHaveLength(0);
    const check = await migrate('status', '--check');
    expect([check.exitCode, check.json().ok, check.json().error]).toEqual([3, false, null]);
  });

  it('shows who applied what and when', async () => {
    await migrate('up');
    const { exitCode, json } = await migrate('status', '--check');
    expect(exitCode).toBe(0);
    const { applied, pending } = json().data;
    expect(pending).toEqual([]);
    expect(applied[0]).toMatchObject({ version: 1, name: 'sensors_device', appliedBy: 'postgres' });
    expect(applied[0].appliedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  it.each([
    [
      'changed',
      `update sensordb.migration set checksum = 'x' where schema_name = 'public' and version = 3`,
      { version: 3, name: 'sensors_sensoraggregate' },
    ],
    [
      'missing',
      `insert into sensordb.migration (schema_name, version, name, checksum, duration_ms, tool_version)
         values ('public', 99, 'from_the_future', 'x', 1, '9')`,
      { version: 99, name: 'from_the_future' },
    ],
    [
      'out_of_order',
      `delete from sensordb.migration where schema_name = 'public' and version = 4`,
      { version: 4, name: 'orders_order' },
    ],
  ])('finds a migration that is %s, on which up applies nothing', async (problem, tamper, which) => {
    await migrate('up');
    await database.sql.unsafe(tamper);
    const status = await migrate('status');
    expect(status.exitCode).toBe(0);
    expect(status.json().data.problems).toMatchObject([{ problem, ...which }]);
    expect((await migrate('status', '--check')).exitCode).toBe(3);
    for (const words of [['up'], ['up', '--dry-run']]) {
      const up = await migrate(...words);
      expect(up.exitCode).toBe(1);
      expect(up.json()).toMatchObject({ changed: false, error: { code: `migration_${problem}` } });
      expect(up.json().error?.object).toBe(`${String(which.version).padStart(4, '0')}_${which.name}`);
    }
  });
});
