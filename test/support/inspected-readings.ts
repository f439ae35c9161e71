import { expect } from 'vitest';
import { runCli } from './cli.ts';
import { createDatabase, type TestDatabase } from './server.ts';

/** The clock of the database below. */
export const THEN = '2026-05-20T12:00:00Z';

/** A database with five months of readings that is worth a look: a gap, a leaf out of order, aggregates that are behind. */
export async function readingsWorthALook(server?: string): Promise<TestDatabase> {
  const database = await createDatabase(server === undefined ? {} : { server });
  const run = async (...argv: readonly string[]) => {
    const { exitCode, stderr } = await runCli(argv, { url: database.url, now: THEN });
    expect({ argv, exitCode, stderr }).toMatchObject({ exitCode: 0 });
  };
  await run('migrate', 'up');
  await run('partitions', 'ensure', '--from', '2026-01-01', '--months', '2');
  await database.sql.unsafe(`
    insert into sensors_device (name, serial_number) values ('pump <1>', 'p-1'), ('valve', 'v-1');
    insert into sensors_sensorreading (device_id, timestamp, value)
    select d, t, 1 from generate_series(timestamptz '2026-01-01+00', '2026-05-20 11:00+00', interval '1 hour') t, generate_series(1, 2) d order by t, d;
    insert into sensors_sensorreading (device_id, timestamp, value)
    select 1, timestamptz '2026-04-01+00' + (n * 7919 % 2000) * interval '20 minutes', 1 from generate_series(1, 2000) n;
    drop table sensors_sensorreading_2026_02;
    create table ticket (id serial); select setval('ticket_id_seq', 2100000000)`);
  await database.sql.unsafe('vacuum analyze');
  await run('aggregates', 'backfill');
  await database.sql.unsafe('truncate sensors_sensorreading_2026_03');
  return database;
}
