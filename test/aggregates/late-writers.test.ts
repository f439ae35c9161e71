import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Sql } from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runJson } from '../support/partitions.ts';
import { addReadings, differences, readingsDatabase } from '../support/recount.ts';
import { connectTo, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let writer: Sql;
beforeEach(async () => {
  database = await readingsDatabase();
  await addReadings(database.sql, '2026-03-08', 60);
  await refreshAt('12:00');
  writer = database.connect();
});
afterEach(() => database.drop());

/** Runs a refresh on 10 March 2026, at a time of day. */
async function refreshAt(time: string) {
  const result = await runJson(database, ['aggregates', 'refresh'], { now: `2026-03-10T${time}:00Z` });
  expect(result).toMatchObject({ exitCode: 0, error: null });
  return result;
}

async function expectExact(): Promise<void> {
  expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
}

async function logged(): Promise<readonly string[]> {
  const rows = await database.sql<{ what: string }[]>`
    select format('%s %s', device_id, to_char(hour, 'MM-DD HH24')) as what from sensordb.aggregate_change order by 1`;
  return rows.map(({ what }) => what);
}

function row(at: string, value = 1, device = 1): string {
  return `insert into sensors_sensorreading (device_id, timestamp, value) values (${device}, '2026-03-10 ${at}+00', ${value})`;
}

it('what is rolled back, whole or to a savepoint, is neither logged nor counted', async () => {
  await writer.unsafe(
    `begin; ${row('05:00')}; savepoint s; ${row('06:00')}; rollback to savepoint s; commit`,
  );
  await writer.unsafe(`begin; ${row('07:00')}; rollback`);
  expect(await logged()).toEqual(['1 03-10 05']);
  await refreshAt('12:00');
  await expectExact();
});

it('a transaction that stays open across refreshes is counted by the first after its end', async () => {
  await writer.unsafe(
    `begin; ${row('05:10')}; update sensors_sensorreading set value = 9 where timestamp < '2026-03-08 02:00+00'`,
  );
  await refreshAt('12:00');
  await refreshAt('12:00');
  await writer.unsafe('commit');
  await refreshAt('12:00');
  await expectExact();
});

it('a role without any right on schema sensordb writes late as before', async () => {
  await database.sql.unsafe(`create role app_${database.name} login;
    grant select, insert, update, delete on sensors_sensorreading, sensors_sensorreading_2026_03 to app_${database.name};
    grant usage on sequence sensors_sensorreading_id_seq to app_${database.name}`);
  const app = connectTo(database.url.replace('//postgres@', `//app_${database.name}@`));
  await app.unsafe(`${row('01:00')}; ${row('13:00')}; update sensors_sensorreading set value = value + 1 where timestamp >= '2026-03-09 20:00+00';
    delete from sensors_sensorreading where timestamp < '2026-03-08 03:00+00'`);
  await expect(app`select * from sensordb.aggregate_change`).rejects.toMatchObject({ code: '42501' });
  await app.end();
  await refreshAt('12:00');
  await expectExact();
  await database.sql.unsafe(`drop owned by app_${database.name}; drop role app_${database.name}`);
});

it('an owner of the readings without any right on schema sensordb makes and attaches leaves as before', async () => {
  const owner = `owner_${database.name}`;
  await database.sql.unsafe(`create role ${owner}; alter table sensors_sensorreading owner to ${owner};
    grant create on schema public to ${owner}; grant references on sensors_device to ${owner}`);
  await database.sql.begin(async (tx) => {
    await tx.unsafe(`set local role ${owner};
      create table made partition of sensors_sensorreading for values from ('2026-01-01+00') to ('2026-02-01+00');
      create table own (like sensors_sensorreading including all);
      alter table sensors_sensorreading attach partition own for values from ('2025-12-01+00') to ('2026-01-01+00');
      insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-01-05 03:10+00', 1);
      insert into own (device_id, timestamp, value) values (1, '2025-12-05 03:10+00', 1)`);
  });
  expect(await logged()).toEqual(['1 01-05 03', '1 12-05 03']);
  await refreshAt('12:00');
  await expectExact();
  await database.sql.unsafe(
    `reassign owned by ${owner} to current_user; drop owned by ${owner}; drop role ${owner}`,
  );
});

it('writes in a session of role replica are logged, through the table and into a leaf', async () => {
  await database.sql.begin(async (sql) => {
    await sql.unsafe(`set local session_replication_role to replica; ${row('03:00')};
      ${row('04:00').replace('sensors_sensorreading', 'sensors_sensorreading_2026_03')}`);
  });
  expect(await logged()).toEqual(['1 03-10 03', '1 03-10 04']);
  await refreshAt('12:00');
  await expectExact();
});

it('COPY is logged, through the table and into a leaf', async () => {
  for (const [at, into] of [
    ['03:00', 'sensors_sensorreading'],
    ['04:00', 'sensors_sensorreading_2026_03'],
  ]) {
    const copy = await writer.unsafe(`copy ${into} (device_id, timestamp, value) from stdin`).writable();
    const lines = `1\t2026-03-10 ${at}+00\t7\n2\t2026-03-10 13:00+00\t7\n`;
    await pipeline(Readable.from([lines]), copy);
  }
  expect(await logged()).toEqual(['1 03-10 03', '1 03-10 04']);
  await refreshAt('12:00');
  await expectExact();
});

it.each(['Asia/Kolkata', 'Australia/Lord_Howe', 'Europe/Berlin'])(
  'a writer in %s logs hours of UTC',
  async (zone) => {
    await writer.unsafe(`set timezone to '${zone}'; set datestyle to 'German, DMY'; ${row('03:10')}`);
    expect(await logged()).toEqual(['1 03-10 03']);
    await refreshAt('12:00');
    await expectExact();
  },
);

describe('what was written while triggers were', () => {
  it.each([
    [
      'disabled on a leaf',
      'alter table sensors_sensorreading_2026_03 disable trigger all',
      'alter table sensors_sensorreading_2026_03 enable trigger all',
    ],
    [
      'disabled on the table',
      'alter table sensors_sensorreading disable trigger user',
      'alter table sensors_sensorreading enable trigger user',
    ],
    [
      'enabled on a leaf for ordinary sessions alone',
      'alter table sensors_sensorreading_2026_03 enable trigger all; set session_replication_role to replica',
      'reset session_replication_role; alter table sensors_sensorreading_2026_03 enable always trigger sensordb_change_insert',
    ],
    [
      'enabled on the table for ordinary sessions alone',
      'alter table sensors_sensorreading enable trigger user; set session_replication_role to replica',
      'reset session_replication_role',
    ],
    ['dropped', 'drop trigger sensordb_change_insert on sensors_sensorreading', 'select 1'],
  ])('%s is counted all the same', async (_, off, on) => {
    await writer.unsafe(off);
    await writer.unsafe(row('03:00'));
    await refreshAt('12:00');
    await expectExact();
    await writer.unsafe(row('04:00'));
    await writer.unsafe(on);
    await writer.unsafe(row('05:00'));
    await refreshAt('12:00');
    await expectExact();
  });
});

it('the gate never moves back, whatever the clock says', async () => {
  await refreshAt('15:00');
  expect((await refreshAt('13:00')).data.cleanUntil).toBe('2026-03-10T15:00:00Z');
  await database.sql.unsafe(row('14:00'));
  expect(await logged()).toEqual(['1 03-10 14']);
});

it('a refresh with nothing to do writes no row, but its own line', async () => {
  const wal = async () => {
    const [at] = await database.sql<{ rows: string }[]>`
      select string_agg(format('%s %s', c.relname, pg_relation_size(c.oid)), ',' order by c.relname)
             || (select string_agg(a.xmin::text, ',' order by a.id) from sensors_sensoraggregate a)
             || (select string_agg(s.xmin::text, ',') from sensordb.aggregate_source s)
             || (select string_agg(k.xmin::text, ',' order by k.leaf_oid::oid) from sensordb.aggregate_leaf k) as rows
        from pg_class c where c.relnamespace in ('public'::regnamespace, 'sensordb'::regnamespace) and c.relname not like 'run_log%'`;
    return at?.rows;
  };
  await refreshAt('12:00');
  const before = await wal();
  expect(await refreshAt('12:00')).toMatchObject({
    changed: false,
    data: { counted: 0, written: 0, removed: 0 },
  });
  expect(await wal()).toBe(before);
});
