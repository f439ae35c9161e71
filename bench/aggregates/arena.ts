import type { Sql } from 'postgres';
import { connectTo, withDatabase } from '../../test/support/connect.ts';
import { runMigrations } from '../../test/support/migrations.ts';
import type { RunningServer } from '../../test/support/postgres.ts';

/** How many devices send readings. */
export const DEVICES = 500;

/** A database with readings. */
export interface Arena {
  readonly name: string;
  readonly url: string;
  readonly sql: Sql;
  readonly rows: number;
}

/** Readings to be made: so many of each device, one in so many seconds, up to the hour that is not over. */
export interface Readings {
  readonly name: string;
  readonly everySeconds: number;
  readonly perDevice: number;
}

/** Makes a database with the application's tables and monthly leaves that are full of readings, in the order of their times. */
export async function openArena(
  server: RunningServer,
  { name, everySeconds, perDevice }: Readings,
): Promise<Arena> {
  const admin = connectTo(server.url);
  await admin.unsafe(`create database ${name}`);
  await admin.end();
  const url = withDatabase(server.url, name);
  const sql = connectTo(url);
  await runMigrations(sql, 'public');
  await sql.unsafe(
    `insert into sensors_device (name, serial_number) select 'device ' || n, 's' || n from generate_series(1, ${DEVICES}) n`,
  );
  const months = await sql<{ leaf: string; lower: string; upper: string }[]>`
    select 'sensors_sensorreading_' || to_char(m, 'YYYY_MM') as leaf, m::text as lower, (m + interval '1 month')::text as upper
      from generate_series(date_trunc('month', now() - make_interval(secs => ${everySeconds * perDevice})),
                           date_trunc('month', now()), interval '1 month') m`;
  for (const month of months) await fillLeaf(sql, month, everySeconds, perDevice);
  await sql.unsafe('vacuum analyze');
  await sql.unsafe('checkpoint');
  const [counted] = await sql<{ rows: number }[]>`select count(*)::int as rows from sensors_sensorreading`;
  return { name, url, sql, rows: counted?.rows ?? 0 };
}

/** The indexes are built when the rows are in: that is many times faster, and the order of the rows is that of their coming. */
async function fillLeaf(
  sql: Sql,
  { leaf, lower, upper }: { readonly leaf: string; readonly lower: string; readonly upper: string },
  everySeconds: number,
  perDevice: number,
): Promise<void> {
  await sql.unsafe(`
    create table ${leaf} (like sensors_sensorreading including defaults);
    insert into ${leaf} (id, device_id, timestamp, value)
    select nextval('sensors_sensorreading_id_seq'), d, at + make_interval(secs => (d - 1) * ${everySeconds} / ${DEVICES}.0), random() * 100
      from generate_series(1, ${perDevice}) n
      cross join lateral (select date_trunc('hour', now()) - make_interval(secs => n * ${everySeconds}.0) as at) t
      cross join generate_series(1, ${DEVICES}) d
     where at >= '${lower}' and at + make_interval(secs => ${everySeconds}) < '${upper}'
     order by n desc, d;
    alter table ${leaf} add primary key (id, timestamp);
    create index on ${leaf} using brin (timestamp) with (autosummarize = on);
    create index on ${leaf} (device_id, timestamp);
    alter table ${leaf} add check (timestamp >= '${lower}' and timestamp < '${upper}');
    alter table sensors_sensorreading attach partition ${leaf} for values from ('${lower}') to ('${upper}')`);
}
