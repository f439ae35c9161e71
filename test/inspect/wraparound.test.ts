import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { createFolder } from '../support/folder.ts';
import { applyFixes, inspect, inspectOnly, type ShownFinding } from '../support/inspect.ts';
import { createRole } from '../support/roles.ts';
import {
  connectTo,
  createDatabase,
  type RunningServer,
  startServer,
  type TestDatabase,
} from '../support/server.ts';

/** Far below what has PostgreSQL begin an autovacuum that no setting forbids, and none comes between. */
const config = (more = '') => `inspect: { thresholds: { wraparound: { warning_ratio: 0.1${more} } } }`;

/** Uses up so many transaction ids, each by a transaction of its own. */
const burn = (count: number) =>
  `do $$ begin for n in 1..${count} loop perform pg_current_xact_id(); commit; end loop; end $$`;

describe('wraparound', () => {
  let server: RunningServer;
  let database: TestDatabase;
  const folder = createFolder();

  beforeAll(async () => {
    server = await startServer({ settings: { autovacuum_freeze_max_age: '1000000', autovacuum: 'off' } });
    database = await createDatabase({ server: server.url });
    await database.sql.unsafe(`
      create table r (id bigint, "timestamp" timestamptz, note text) partition by range ("timestamp");
      create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
      create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01');
      create materialized view "R mat" as select 1 as n, 'x'::text as note;
      create schema sensordb; create table sensordb.own (n int)`);
  });
  afterAll(async () => {
    folder.remove();
    await database.drop();
    await server.stop();
  });

  const look = async () => (await inspectOnly(database, 'wraparound', { config: config() })).findings;
  /** What all databases are with the settings of this server, once that many ids are used up. */
  const OTHERS = { severity: 'info', object: 'pg_catalog.pg_database', fix: [] };

  it('finds what an old transaction keeps from being frozen, once for all partitions; then its fix freezes it', async () => {
    expect(await inspectOnly(database, 'wraparound', { config: config() })).toMatchObject({
      findings: [],
      passed: ['wraparound'],
    });
    const role = await createRole(database);
    const file = folder.write('sensordb.yaml', config());
    const reader = database.connect();
    await reader.unsafe('begin isolation level repeatable read; select count(*) from r');
    await database.sql.unsafe(burn(130_000));
    for (const url of [database.url, role.url]) {
      const { exitCode, findings } = await inspectOnly({ url }, 'wraparound', { config: config() });
      expect(exitCode).toBe(3);
      expect(findings).toMatchObject([
        {
          severity: 'warning',
          object: 'pg_catalog',
          evidence: { tables: expect.arrayContaining(['pg_catalog.pg_aggregate']) },
        },
        { severity: 'warning', object: 'public."R mat"' },
        { severity: 'warning', object: 'public.r', evidence: { leaves: 2 } },
        { severity: 'warning', object: 'sensordb.own' },
        { ...OTHERS, evidence: { databases: expect.arrayContaining(['postgres', 'template0']) } },
      ]);
    }
    const narrow = await inspect(database, ['--only', 'wraparound', '--table', 'r', '--config', file]);
    expect(narrow.findings).toMatchObject([{ object: 'public.r' }]);
    const findings = await look();
    await applyFixes(database, findings);
    // The reader still holds it back.
    expect(await look()).toHaveLength(findings.length);
    await reader.unsafe('rollback');
    await applyFixes(database, findings);
    expect(await look()).toMatchObject([OTHERS]);
  });

  it('finds it critical beyond a threshold of one’s own', async () => {
    await database.sql.unsafe(burn(130_000));
    const critical = { config: config(', critical_age: 100000') };
    const { findings } = await inspectOnly(database, 'wraparound', critical);
    expect(findings.map(({ severity, object }) => [severity, object])).toEqual([
      ['critical', 'pg_catalog'],
      ['critical', 'public."R mat"'],
      ['critical', 'public.r'],
      ['critical', 'sensordb.own'],
      // One for each other database.
      ['warning', 'pg_catalog.pg_database'],
      ['warning', 'pg_catalog.pg_database'],
      ['warning', 'pg_catalog.pg_database'],
    ]);
    await applyFixes(database, findings);
    expect(await look()).toMatchObject([OTHERS]);
  });

  it('is new to a baseline in one more database, and not in one where it got older', async () => {
    const run = async (words: readonly string[] = []) => {
      const all = ['inspect', '--only', 'wraparound', '--json', ...words];
      return (await runCli(all, { url: database.url, cwd: folder.path })).json();
    };
    folder.write('sensordb.yaml', config(', critical_age: 100000'));
    const other = connectTo(server.url);
    await other.unsafe('vacuum (freeze)');
    const first = await run();
    folder.write('first.json', JSON.stringify(first));
    await other.end();
    const isOther = ({ object }: ShownFinding) => object === 'pg_catalog.pg_database';
    expect(first.data.findings.filter(isOther)).toMatchObject([{ key: 'template0' }, { key: 'template1' }]);
    await database.sql.unsafe(burn(130_000));
    const { findings, baseline } = (await run(['--baseline', 'first.json'])).data;
    expect(findings.filter(isOther)).toMatchObject([{ severity: 'warning', key: 'postgres' }]);
    expect(baseline.known.filter(isOther)).toMatchObject([{ key: 'template0' }, { key: 'template1' }]);
    folder.write('sensordb.yaml', '');
    await database.sql.unsafe('vacuum (freeze)');
  });

  it('finds the temporary tables of a session that lives on, and a database that was not brought up to date', async () => {
    const session = database.connect();
    await session.unsafe(`create temp table kept (n int, note text)`);
    await database.sql.unsafe('create table doomed (n int)');
    await database.sql.unsafe(burn(130_000));
    for (const table of ['pg_catalog', 'public.r', 'public."R mat"', 'sensordb.own']) {
      await applyFixes(
        database,
        (await look()).filter(({ object }) => object === table),
      );
    }
    const temporary = {
      severity: 'warning',
      object: expect.stringMatching(/^pg_temp_\d+$/),
      evidence: { leaves: 1 },
      fix: [],
    };
    const doomed = { object: 'public.doomed' };
    expect(await look()).toMatchObject([temporary, doomed, OTHERS]);
    await session.unsafe('drop table kept');
    expect(await look()).toMatchObject([doomed, OTHERS]);
    await database.sql.unsafe('drop table doomed');
    const unexplained = await look();
    expect(unexplained).toMatchObject([
      {
        severity: 'warning',
        object: database.name,
        message: expect.stringContaining('no table has any so old'),
      },
      OTHERS,
    ]);
    await applyFixes(database, unexplained);
    expect(await look()).toMatchObject([OTHERS]);
  });
});

describe('wraparound of multixacts', () => {
  it('finds them old in tables, and in a database of which no table is', async () => {
    const server = await startServer({
      settings: { autovacuum_multixact_freeze_max_age: '100000', autovacuum: 'off' },
    });
    const database = await createDatabase({ server: server.url });
    const look = async () => (await inspectOnly(database, 'wraparound', { config: config() })).findings;
    await database.sql.unsafe(
      'create table t (n int); insert into t values (1); create table doomed (n int)',
    );
    // Two locks of one row by different transactions, one within the other, are a multixact.
    await database.sql.unsafe(`do $$ begin for n in 1..13000 loop
        perform from t for key share;
        begin perform from t for update; exception when division_by_zero then null; end;
        commit;
      end loop; end $$`);
    const findings = await look();
    expect(findings).toMatchObject([
      { object: 'pg_catalog' },
      { severity: 'warning', object: 'public.doomed', evidence: { multixactAge: expect.any(Number) } },
      { severity: 'warning', object: 'public.t' },
      { severity: 'info', object: 'pg_catalog.pg_database' },
    ]);
    expect(findings[2]?.evidence.multixactAge).toBeGreaterThan(12_000);
    await applyFixes(
      database,
      findings.filter(({ object }) => object !== 'public.doomed'),
    );
    await database.sql`drop table doomed`;
    const unexplained = await look();
    expect(unexplained).toMatchObject([
      { severity: 'warning', object: database.name },
      { severity: 'info', object: 'pg_catalog.pg_database' },
    ]);
    await applyFixes(database, unexplained);
    expect(await look()).toMatchObject([{ severity: 'info', object: 'pg_catalog.pg_database' }]);
    await database.drop();
    await server.stop();
  });
});
