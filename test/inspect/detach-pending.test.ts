import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

describe('detach_pending', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
    await database.sql.unsafe(`
      create table r (id bigint, "timestamp" timestamptz not null) partition by range ("timestamp");
      create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
      create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01')`);
  });
  afterAll(() => database.drop());

  it('passes where nothing is half detached', async () => {
    expect(await inspectOnly(database, 'detach_pending')).toMatchObject({
      exitCode: 0,
      findings: [],
      passed: ['detach_pending'],
    });
  });

  it('finds a detach that was cancelled while it waited for a reader, and its fix finishes it', async () => {
    const reader = database.connect();
    const detacher = database.connect();
    const read = reader.reserve();
    const held = await read;
    await held.unsafe('begin; select count(*) from r');
    const [{ pid } = { pid: 0 }] = await detacher<{ pid: number }[]>`select pg_backend_pid() as pid`;
    const detach = detacher.unsafe('alter table r detach partition r_1 concurrently').catch((error) => error);
    await until(async () => {
      const [row] = await database.sql`select from pg_inherits where inhdetachpending`;
      return row !== undefined;
    });
    // Still at work: it will end by itself.
    expect((await inspectOnly(database, 'detach_pending')).findings).toEqual([]);
    await database.sql`select pg_cancel_backend(${pid})`;
    expect(await detach).toMatchObject({ code: '57014' });
    await held.unsafe('rollback');
    held.release();
    const { exitCode, findings } = await inspectOnly(database, 'detach_pending');
    expect(exitCode).toBe(3);
    expect(findings).toEqual([
      expect.objectContaining({ check: 'detach_pending', severity: 'critical', object: 'public.r_1' }),
    ]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, 'detach_pending')).toMatchObject({
      findings: [],
      passed: ['detach_pending'],
    });
  });
});
