import { randomBytes } from 'node:crypto';
import type { Sql } from 'postgres';
import { runCli } from './cli.ts';
import { connectTo, withDatabase } from './connect.ts';
import { runMigrations } from './migrations.ts';

const HOUR_MS = 3_600_000;

/** The hour at which a round begins by its own clock: long ago by the server's, so that it is the round's that counts. */
export const BEGIN_MS = Date.UTC(2026, 2, 10, 12);

/** The clock of a round, which moves on by whole hours. */
export interface Clock {
  hours: number;
}

/** Tells what time it is by the clock of a round, in the midst of the hour. */
export function timeOf({ hours }: Clock): Date {
  return new Date(BEGIN_MS + hours * HOUR_MS + HOUR_MS / 2);
}

/** The name of the leaf of a day, so many days after that on which a round begins. */
export function leafOf(day: number): string {
  const date = new Date(BEGIN_MS + day * 24 * HOUR_MS).toISOString().slice(0, 10);
  return `sensors_sensorreading_${date.replaceAll('-', '_')}`;
}

/** The day on which a round begins or one so many days after it, as `2026-03-10`. */
export function dateOf(day: number): string {
  return new Date(BEGIN_MS + day * 24 * HOUR_MS).toISOString().slice(0, 10);
}

/** The days that have leaves, relative to that on which a round begins. */
export const DAYS = { first: -4, last: 3 } as const;

/** A database of one round. */
export interface Battlefield {
  readonly url: string;
  /** For a role that has no right but what an application needs. */
  readonly writerUrl: string;
  readonly role: string;
  readonly sql: Sql;
  readonly drop: () => Promise<void>;
}

/** Databases of which those of the rounds are copies. */
export interface Ground {
  /** Makes the database of a round: one whose aggregates are kept already, or one where they are not. */
  readonly battlefield: (isSetUp: boolean) => Promise<Battlefield>;
  readonly drop: () => Promise<void>;
}

// Every third of an hour four devices; with a DEFAULT that has rows of its own.
const ROWS = `
  insert into sensors_device (name, serial_number) select 'd' || n, 's' || n from generate_series(1, 4) n;
  insert into sensors_sensorreading (device_id, "timestamp", value)
  select d, timestamptz '${dateOf(DAYS.first)} 00:00Z' + n * interval '20 minutes', (n * 37 % 64 - 20) / 8.0
    from generate_series(1, 4) d, generate_series(0, ${(4 * 24 + 14) * 3}) n;
  insert into sensors_sensorreading (device_id, "timestamp", value) values (1, 'infinity', 0.5), (2, '2025-12-31Z', 2)`;

// Says who touches the aggregates of hours whose readings are gone.
const GUARD = `
  create table fire_violation (device_id bigint, hour timestamptz, what text);
  create function fire_guard() returns trigger language plpgsql set search_path to public as $$
  begin
    if to_regprocedure('sensordb.retired_ranges(bigint)') is not null then
      insert into fire_violation
      select o.device_id, o.hour, tg_op from old_rows o, sensordb.aggregate_source s
       where sensordb.retired_ranges(s.id) @> o.hour;
    end if;
    return null;
  end $$;
  create trigger fire_update after update on sensors_sensoraggregate referencing old table as old_rows
    for each statement execute function fire_guard();
  create trigger fire_delete after delete on sensors_sensoraggregate referencing old table as old_rows
    for each statement execute function fire_guard();`;

/** Makes the databases of which those of the rounds are copies, and the role of the writers. */
export async function prepareGround(server: string): Promise<Ground> {
  const mark = randomBytes(5).toString('hex');
  const role = `fire_${mark}`;
  const admin = connectTo(server);
  await admin.unsafe(`create role ${role} login password '${role}'`);
  const names = [`fire_bare_${mark}`, `fire_kept_${mark}`] as const;
  await admin.unsafe(`create database ${names[0]}`);
  await layOut(withDatabase(server, names[0]), role);
  await admin.unsafe(`create database ${names[1]} template ${names[0]}`);
  await run(withDatabase(server, names[1]), ['aggregates', 'refresh']);
  let number = 0;
  return {
    battlefield: async (isSetUp) => {
      number += 1;
      const name = `fire_${mark}_${number}`;
      await admin.unsafe(`create database ${name} template ${isSetUp ? names[1] : names[0]}`);
      const url = withDatabase(server, name);
      const writerUrl = url.replace(/^(postgres(?:ql)?:\/\/)(?:[^@/?]*@)?/, `$1${role}:${role}@`);
      const sql = connectTo(url, { max: 2 });
      const drop = async (): Promise<void> => {
        await sql.end({ timeout: 1 });
        await admin.unsafe(`drop database if exists ${name} with (force)`);
      };
      return { url, writerUrl, role, sql, drop };
    },
    drop: async () => {
      for (const name of names) await admin.unsafe(`drop database if exists ${name} with (force)`);
      await admin.unsafe(`drop role ${role}`);
      await admin.end();
    },
  };
}

async function layOut(url: string, role: string): Promise<void> {
  const sql = connectTo(url);
  await runMigrations(sql, 'public');
  await run(url, [
    ...['partitions', 'ensure', '--interval', 'day'],
    ...['--from', dateOf(DAYS.first), '--until', dateOf(DAYS.last + 1)],
  ]);
  await sql.unsafe(`${ROWS};
    ${GUARD};
    grant select, insert, update, delete, truncate on all tables in schema public to ${role};
    revoke all on sensors_sensoraggregate, fire_violation from ${role};
    grant usage on all sequences in schema public to ${role}`);
  await sql.end();
}

async function run(url: string, argv: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await runCli(argv, { url, now: timeOf({ hours: 0 }) });
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${exitCode}: ${stderr}`);
}
