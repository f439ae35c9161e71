import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { chownTree } from '../support/chown.ts';
import { type CliProcess, spawnCli } from '../support/cli.ts';
import { withDatabase } from '../support/connect.ts';
import { liveDatabase, until } from '../support/live.ts';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { addReadings, differences } from '../support/recount.ts';
import { connectTo, type RunningServer, startServer, type TestDatabase } from '../support/server.ts';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of cleanUp.splice(0).reverse()) await one();
});

/** Readings that are several pieces, by what the statistics say. */
async function manyPieces(server?: string): Promise<TestDatabase> {
  const database = await liveDatabase(server);
  cleanUp.push(() => database.drop());
  await database.sql.unsafe(
    `insert into sensors_device (name, serial_number) values ('pump', 'p-1'), ('fan', 'f-1')`,
  );
  await addReadings(database.sql, '2026-03-01', 24 * 9);
  await database.sql`analyze`;
  await database.sql`update pg_class set reltuples = 5e6 where relname = 'sensors_sensorreading_2026_03'`;
  return database;
}

interface Paced {
  readonly run: CliProcess;
  /** How often it has looked, and how often it has counted, since it counted for the last time. */
  readonly looks: () => number;
  readonly counts: () => number;
}

async function paced(database: TestDatabase, words: readonly string[]): Promise<Paced> {
  const proxy = await startProxy(database.url);
  cleanUp.push(() => proxy.close());
  const isCount = (text: string): boolean => text.includes('sensordb.moments(r.value)');
  return {
    run: spawnCli(['aggregates', 'backfill', '--json', ...words], { url: proxy.url }),
    counts: () => proxy.statements.filter(isCount).length,
    looks: () => {
      const last = proxy.statements.findLastIndex(isCount);
      return proxy.statements.slice(last + 1).filter((text) => text.includes('pg_current_wal_insert_lsn'))
        .length;
    },
  };
}

it('waits while more WAL is written than --max-wal-rate allows, and can be stopped meanwhile', async () => {
  const database = await manyPieces();
  const { run, looks, counts } = await paced(database, ['--max-wal-rate', '1kB']);
  await until('it looks again and again', () => looks() > 2);
  const before = counts();
  await until('it looks once more', () => looks() > 3);
  expect(counts()).toBe(before);
  run.kill('SIGINT');
  expect((await run.ended).exitCode).toBe(130);
  const { exitCode, data } = await runJson(database, ['aggregates', 'backfill'], {
    now: '2026-03-10T12:00:00Z',
  });
  expect(exitCode).toBe(0);
  expect(data.pieces).toBeGreaterThan(0);
  expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
});

/** Starts a standby of a server: a copy of its data that follows it. */
async function startStandby(primary: RunningServer): Promise<RunningServer> {
  const sql = connectTo(primary.url);
  const [version] = await sql<
    { old: boolean }[]
  >`select current_setting('server_version_num')::int < 150000 as old`;
  // Renamed in 15.
  await sql.unsafe(
    version?.old
      ? `select pg_start_backup('standby', true, false)`
      : `select pg_backup_start('standby', true)`,
  );
  const standby = await startServer({
    settings: { hot_standby: 'on' },
    prepare: async (dataDirectory, account) => {
      const kept = await readFile(join(dataDirectory, 'pg_hba.conf'));
      await rm(dataDirectory, { recursive: true });
      await cp(primary.dataDirectory, dataDirectory, {
        recursive: true,
        filter: (path) => !path.endsWith('postmaster.pid') && !path.endsWith('postmaster.opts'),
      });
      const [done] = await sql.unsafe<{ labelfile: string }[]>(
        version?.old
          ? 'select labelfile from pg_stop_backup(false, false)'
          : 'select labelfile from pg_backup_stop(false)',
      );
      const conninfo = `host=${primary.host} port=${primary.port} user=postgres`;
      await writeFile(join(dataDirectory, 'backup_label'), done?.labelfile ?? '');
      await writeFile(join(dataDirectory, 'standby.signal'), '');
      await writeFile(join(dataDirectory, 'pg_hba.conf'), kept);
      await writeFile(join(dataDirectory, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
      if (account !== null) await chownTree(dataDirectory, account);
    },
  });
  await until('the standby follows', async () => {
    const following = await sql`select from pg_stat_replication where state = 'streaming'`;
    return following.length > 0;
  });
  await sql.end();
  return standby;
}

it('waits while a replica lags further behind than --max-lag, and goes on when it has caught up', async () => {
  const primary = await startServer();
  cleanUp.push(() => primary.stop());
  const standby = await startStandby(primary);
  cleanUp.push(() => standby.stop());
  const database = await manyPieces(primary.url);
  const replica = connectTo(withDatabase(standby.url, 'postgres'));
  await replica`select pg_wal_replay_pause()`;
  const { run, looks } = await paced(database, ['--max-lag', '1ms']);
  await until('it looks again and again', () => looks() > 2);
  await replica`select pg_wal_replay_resume()`;
  await replica.end();
  const { exitCode, json } = await run.ended;
  expect([exitCode, json().data.pieces > 2]).toEqual([0, true]);
  expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
});

it('refuses --max-lag to a role that may not see the replicas', async () => {
  const primary = await startServer();
  cleanUp.push(() => primary.stop());
  const standby = await startStandby(primary);
  cleanUp.push(() => standby.stop());
  const database = await manyPieces(primary.url);
  await database.sql.unsafe(`create role keeper login; grant all on schema public to keeper; grant create on database "${database.name}" to keeper;
    alter table sensors_sensorreading owner to keeper; alter table sensors_sensoraggregate owner to keeper;
    alter table sensors_sensorreading_2026_03 owner to keeper; alter table sensors_sensorreading_default owner to keeper`);
  const url = database.url.replace('//postgres@', '//keeper@');
  expect(
    await runJson({ url }, ['aggregates', 'backfill', '--max-lag', '1s'], { now: '2026-03-10T12:00:00Z' }),
  ).toMatchObject({
    exitCode: 1,
    error: { code: 'lag_hidden', hint: expect.stringContaining('pg_monitor') },
  });
});

it('waits for an autovacuum that prevents wraparound, also as a role that may not see what others do', async () => {
  const server = await startServer({ settings: { autovacuum_naptime: '1s' } });
  cleanUp.push(() => server.stop());
  const database = await manyPieces(server.url);
  const leaf = 'sensors_sensorreading_2026_03';
  await database.sql.unsafe(`create role keeper login; grant all on schema public to keeper; grant create on database "${database.name}" to keeper;
    grant usage on schema public to keeper; grant select on sensors_device to keeper;
    alter table sensors_sensorreading owner to keeper; alter table sensors_sensoraggregate owner to keeper;
    alter table ${leaf} owner to keeper; alter table sensors_sensorreading_default owner to keeper;
    alter table ${leaf} set (autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)`);
  const url = database.url.replace('//postgres@', '//keeper@');
  // The triggers cannot be made beside a vacuum.
  expect(await runJson({ url }, ['aggregates', 'refresh'], { now: '2026-03-10T12:00:00Z' })).toMatchObject({
    exitCode: 0,
  });
  // A transaction each, until the leaf is older than that.
  await database.sql.unsafe(
    'do $$ begin for n in 1..100500 loop perform pg_current_xact_id(); commit; end loop; end $$',
  );
  await until('autovacuum has come', async () => {
    const found = await database.sql`select from pg_stat_progress_vacuum where relid = ${leaf}::regclass`;
    return found.length > 0;
  });
  const recount = ['--recount', '--from', '2026-03-01', '--to', '2026-03-09'];
  const { run, looks, counts } = await paced({ ...database, url }, recount);
  await until('it looks again and again', () => looks() > 2);
  const before = counts();
  await until('it looks once more', () => looks() > 3);
  expect(counts()).toBe(before);
  const workers = await database.sql`
    select pg_terminate_backend(pid) from pg_stat_progress_vacuum where relid = ${leaf}::regclass`;
  expect(workers).toHaveLength(1);
  await database.sql.unsafe(`alter table ${leaf} reset (autovacuum_freeze_max_age)`);
  const { exitCode } = await run.ended;
  expect(exitCode).toBe(0);
});
