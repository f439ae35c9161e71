import type { Sql } from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attach, detach, leavesOf, readings } from '../support/detach.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let reader: Sql;
beforeEach(async () => {
  database = await readings();
  reader = database.connect();
});
afterEach(async () => {
  await reader.unsafe('rollback').catch(() => {});
  await database.drop();
});

const OLD = 'readings_2025_12';
const REPEATABLE = 'begin isolation level repeatable read; select 1 from readings_2026_04';

async function states() {
  const rows =
    await database.sql`select leaf_name || ' ' || state as line from sensordb.detached_leaf order by id`;
  return rows.map(({ line }) => line);
}

const incomplete = ({ warnings }: Awaited<ReturnType<typeof detach>>) =>
  warnings.filter(({ code }) => code === 'leaf_incomplete');

/** Makes a leaf "detach pending", as somebody does whose DETACH CONCURRENTLY is interrupted. */
async function makePending(leaf = OLD): Promise<void> {
  const other = database.connect();
  await other.unsafe('begin; lock table only readings in access share mode');
  const one = database.connect();
  await one`set lock_timeout to '50ms'`;
  await expect(one.unsafe(`alter table readings detach partition ${leaf} concurrently`)).rejects.toThrow();
  await other.unsafe('rollback');
  await Promise.all([one.end(), other.end()]);
}

describe('a detach that is interrupted halfway', () => {
  it('exits 5 naming who has an old snapshot, and the next run completes it', async () => {
    // It uses the parent, which CONCURRENTLY waits for, and has a snapshot, which FINALIZE waits for.
    await reader.unsafe(
      `set application_name to 'nightly report'; ${REPEATABLE}; lock table only readings in access share mode`,
    );
    const blocked = await detach(database, [OLD, '--wait', '300ms']);
    expect(blocked).toMatchObject({ exitCode: 5, changed: true, error: { code: 'blocked' } });
    expect(blocked.data.refused).toMatchObject([{ name: OLD, reason: 'blocked' }]);
    expect(blocked.data.refused[0].message).toContain('nightly report');
    expect(blocked.data.refused[0].message).toContain('half detached');
    expect(await leavesOf(database.sql)).toContain(`${OLD} pending`);
    expect(await states()).toEqual([`${OLD} detaching`]);
    await reader.unsafe('rollback');
    const next = await detach(database, ['readings_2026_01']);
    expect(next).toMatchObject({
      exitCode: 0,
      data: { detached: [OLD, 'readings_2026_01'], finalized: [OLD] },
    });
    expect(await states()).toEqual([`${OLD} detached`, 'readings_2026_01 detached']);
  });

  it('does not wait for idle transactions that have no snapshot, for which CONCURRENTLY alone would wait', async () => {
    await reader.unsafe('begin; lock table only readings in access share mode');
    const run = await detach(database, [OLD, 'readings_2026_01', '--wait', '0s']);
    expect(run).toMatchObject({ exitCode: 0, data: { detached: [OLD, 'readings_2026_01'] } });
  });

  it('is completed although somebody else began it, and keeps the CHECK that it has', async () => {
    await database.sql.unsafe(`alter table ${OLD} add constraint mine check (value > -1)`);
    await makePending();
    const dry = await detach(database, ['readings_2026_01', '--dry-run']);
    expect(dry.data).toMatchObject({ detached: [OLD, 'readings_2026_01'], finalized: [OLD] });
    const run = await detach(database, ['readings_2026_01']);
    expect(run).toMatchObject({
      exitCode: 0,
      data: { detached: [OLD, 'readings_2026_01'], finalized: [OLD] },
    });
    const [row] =
      await database.sql`select check_name, own_checks from sensordb.detached_leaf where leaf_name = ${OLD}`;
    expect(row).toEqual({ check_name: `${OLD}_at_check`, own_checks: ['mine'] });
    await attach(database, [OLD]);
    const checks = await database.sql`select conname from pg_constraint
      where conrelid = ${OLD}::regclass and contype = 'c'`;
    expect(checks).toEqual([{ conname: 'mine' }]);
  });

  it('is completed by naming it', async () => {
    await makePending();
    expect(await detach(database, [OLD])).toMatchObject({
      exitCode: 0,
      changed: true,
      data: { detached: [OLD], finalized: [OLD], already: [] },
    });
  });

  it('is undone by attach, which finalizes it first', async () => {
    await makePending();
    expect(await attach(database, [OLD])).toMatchObject({
      exitCode: 0,
      data: { attached: [OLD], finalized: [OLD] },
    });
    expect(await leavesOf(database.sql)).toContain(OLD);
    expect(await states()).toEqual([`${OLD} attached`]);
    const checks = await database.sql`select conname from pg_constraint
      where conrelid = ${OLD}::regclass and contype = 'c'`;
    expect(checks).toEqual([]);
  });
});

it('PostgreSQL refuses DETACH CONCURRENTLY in a transaction, beside a pending leaf, and beside DEFAULT', async () => {
  const refused = async (statement: string) => {
    const { code, message } = await reader.unsafe(statement).catch((error) => error);
    return [code, message];
  };
  const another = 'alter table readings detach partition readings_2026_01';
  expect(await refused(`begin; ${another} concurrently`)).toEqual(['25001', expect.any(String)]);
  await reader.unsafe('rollback');
  expect(await refused(`${another} finalize`)).toEqual([
    '55000',
    expect.stringContaining('cannot complete detaching'),
  ]);
  await makePending();
  expect(await refused(`${another} concurrently`)).toEqual([
    '55000',
    expect.stringContaining('already pending'),
  ]);
  await reader.unsafe('create table readings_default partition of readings default');
  expect(await refused(`${another} concurrently`)).toEqual([
    '55000',
    expect.stringContaining('default partition'),
  ]);
});

describe('a detach that did not come to its end', () => {
  it('is carried to the schema that was asked for', async () => {
    await database.sql`create schema archive`;
    await reader.unsafe(`${REPEATABLE}; lock table only readings in access share mode`);
    const blocked = await detach(database, [OLD, '--into-schema', 'archive', '--wait', '0s']);
    expect(blocked.exitCode).toBe(5);
    await reader.unsafe('rollback');
    const next = await detach(database, ['--before', '2020-01-01']);
    expect(next).toMatchObject({ exitCode: 0, data: { detached: [OLD], finalized: [OLD] } });
    expect(await database.sql`select to_regclass('archive.readings_2025_12') is not null as there`).toEqual([
      { there: true },
    ]);
  });

  it('gets the CHECK that it has lost, and validates one that is not', async () => {
    await detach(database, [OLD, 'readings_2026_01']);
    await database.sql.unsafe(`alter table ${OLD} drop constraint ${OLD}_at_check;
      alter table readings_2026_01 drop constraint readings_2026_01_at_check;
      alter table readings_2026_01 add constraint readings_2026_01_at_check
        check (at is not null and at >= '2026-01-01Z' and at < '2026-02-01Z') not valid`);
    const run = await detach(database, ['--before', '2020-01-01']);
    expect(run).toMatchObject({ exitCode: 0, data: { detached: [OLD, 'readings_2026_01'] } });
    const checks = await database.sql`select conrelid::regclass::text as leaf, convalidated from pg_constraint
      where contype = 'c' and conname like 'readings%_at_check' order by 1`;
    expect(checks).toEqual([
      { leaf: OLD, convalidated: true },
      { leaf: 'readings_2026_01', convalidated: true },
    ]);
    expect(await detach(database, ['--before', '2020-01-01'])).toMatchObject({ changed: false });
  });

  it('is left, and fails no run that is about others, when rows outside of its bounds came in', async () => {
    await detach(database, [OLD]);
    await database.sql.unsafe(`alter table ${OLD} drop constraint ${OLD}_at_check;
      insert into ${OLD} values (1000, 1, '2030-01-01Z', 1)`);
    for (const [words, detached] of [
      [['readings_2026_01'], ['readings_2026_01']],
      [['--before', '2020-01-01'], []],
    ]) {
      const run = await detach(database, words ?? []);
      expect(run).toMatchObject({ exitCode: 0, error: null, data: { detached, refused: [] } });
      const [warning] = incomplete(run);
      expect(warning?.message).toContain(OLD);
    }
    const named = await detach(database, [OLD]);
    expect(named).toMatchObject({ exitCode: 6, data: { detached: [] } });
    expect(named.data.refused).toMatchObject([{ name: OLD, reason: 'rows_outside_bounds' }]);
    await database.sql.unsafe(`delete from ${OLD} where id = 1000`);
    const mended = await detach(database, ['--before', '2020-01-01']);
    expect(mended).toMatchObject({ exitCode: 0, data: { detached: [OLD] } });
    expect(incomplete(mended)).toEqual([]);
  });

  it('leaves a leaf as it was, and no note, when nothing was begun', async () => {
    await reader.unsafe(`begin; select * from ${OLD}`);
    const run = await detach(database, [OLD, 'readings_2026_01', '--wait', '1s', '--lock-timeout', '1s']);
    expect(run).toMatchObject({ exitCode: 5, data: { detached: ['readings_2026_01'] } });
    expect(run.data.refused[0].message).toContain('AccessShareLock on public.readings_2025_12');
    expect(await leavesOf(database.sql)).toContain(OLD);
    expect(await states()).not.toContain(`${OLD} detaching`);
  });
});

describe('beside DEFAULT, a reader that never ends', () => {
  beforeEach(() => database.sql.unsafe('create table readings_default partition of readings default'));

  it.each([
    ['of the parent', 'lock table only readings in access share mode', 'public.readings', []],
    ['of DEFAULT', 'select * from readings_default', 'public.readings_default', []],
    ['of one leaf', `select * from ${OLD}`, `public.${OLD}`, ['readings_2026_01']],
  ])('%s is named, and what he is not in the way of is done', async (_whom, statement, relation, done) => {
    await reader.unsafe(`begin; ${statement}`);
    const run = await detach(database, [OLD, 'readings_2026_01', '--wait', '1s', '--lock-timeout', '1s']);
    expect(run).toMatchObject({ exitCode: 5, changed: done.length > 0, data: { detached: done } });
    expect(run.data.refused[0]).toMatchObject({ name: OLD, reason: 'blocked' });
    expect(run.data.refused[0].message).toContain(`AccessShareLock on ${relation}`);
    const waiting = await database.sql`select from pg_locks where not granted`;
    expect(waiting).toHaveLength(0);
  });
});
