import { once } from 'node:events';
import type { Sql } from 'postgres';
import { BEGIN_MS, type Clock, DAYS, leafOf } from './fire-ground.ts';
import type { Random } from './fire-random.ts';

const HOUR_MS = 3_600_000;
const TABLE = 'sensors_sensorreading';

/** What a writer draws from. */
export interface Source {
  readonly random: Random;
  readonly clock: Clock;
}

/** Where on the time line something is written: before the clock of the round, at it, after it, far off, or nowhere at all. */
const PLACES = { late: 40, current: 30, future: 15, far: 12, infinite: 3 } as const;

/** Every statement of writers, by how often it is used. */
const STATEMENTS = {
  insert: 30,
  copy: 8,
  leafInsert: 10,
  value: 10,
  hour: 10,
  day: 8,
  ahead: 8,
  device: 6,
  delete: 10,
  leafUpdate: 4,
  leafDelete: 4,
  select: 5,
  truncate: 2,
} as const;

/** Sends one statement, of a kind that is drawn. */
export async function writeOnce(sql: Sql, source: Source): Promise<void> {
  const { random } = source;
  const kind = random.weighted(STATEMENTS);
  if (kind === 'copy') await copy(sql, rows(source));
  else await sql.unsafe(statement(kind, source));
}

function statement(kind: Exclude<keyof typeof STATEMENTS, 'copy'>, source: Source): string {
  const { random } = source;
  const device = random.between(1, 4);
  const value = random.between(-800, 800) / 8;
  const leaf = leafOf(random.between(DAYS.first, DAYS.last + 1));
  switch (kind) {
    case 'insert':
      return insert(TABLE, rows(source));
    case 'leafInsert': {
      const at = finiteAt(source);
      const day = Math.floor((at.getTime() - BEGIN_MS) / HOUR_MS / 24 + 0.5);
      return insert(leafOf(day), [[device, at.toISOString(), value]]);
    }
    case 'value':
      return `update ${TABLE} set value = ${value} where ${some(source)}`;
    case 'hour':
      return `update ${TABLE} set "timestamp" = "timestamp" + interval '${random.between(-5, 5)} hours' where ${some(source)}`;
    case 'day':
      return `update ${TABLE} set "timestamp" = "timestamp" + interval '${random.between(-4, 4) * 24} hours' where ${some(source)}`;
    case 'ahead': {
      // Over the gate, most often within one leaf: what is moved from a leaf into another is deleted and inserted.
      const from = hoursFromClock(source, -random.between(1, 8));
      const to = hoursFromClock(source, random.between(0, 3));
      return `update ${TABLE} set "timestamp" = '${to}' where device_id = ${device} and ${within(from, 1)}`;
    }
    case 'device':
      return `update ${TABLE} set device_id = ${device} where ${some(source)}`;
    case 'delete':
      return `delete from ${TABLE} where ${some(source)}`;
    case 'leafUpdate':
      return `update ${leaf} set value = ${value} where device_id = ${device} and id % 7 = ${random.between(0, 6)}`;
    case 'leafDelete':
      return `delete from ${leaf} where device_id = ${device} and id % 9 = ${random.between(0, 8)}`;
    case 'select':
      return `select count(*) from ${TABLE} where ${some(source)}`;
    case 'truncate':
      return `truncate ${leaf}`;
  }
}

type Row = readonly [device: number, at: string, value: number];

function rows(source: Source): readonly Row[] {
  const { random } = source;
  return Array.from({ length: random.between(1, 12) }, () => [
    random.between(1, 4),
    at(source),
    // Sums of powers of two, so that sums are exact in any order.
    random.between(-800, 800) / 8,
  ]);
}

function insert(table: string, values: readonly Row[]): string {
  const list = values.map(([device, when, value]) => `(${device}, '${when}', ${value})`).join(', ');
  return `insert into ${table} (device_id, "timestamp", value) values ${list}`;
}

async function copy(sql: Sql, values: readonly Row[]): Promise<void> {
  const stream = await sql`copy sensors_sensorreading (device_id, "timestamp", value) from stdin`.writable();
  const ended = Promise.race([
    once(stream, 'finish'),
    once(stream, 'error').then(([thrown]) => Promise.reject(thrown)),
  ]);
  stream.end(values.map((row) => `${row.join('\t')}\n`).join(''));
  await ended;
}

function at(source: Source): string {
  const place = source.random.weighted(PLACES);
  if (place === 'infinite') return source.random.pick(['infinity', '-infinity']);
  return finiteAt(source, place).toISOString();
}

function finiteAt(
  { random, clock }: Source,
  place: Exclude<keyof typeof PLACES, 'infinite'> = random.weighted({ late: 4, current: 4, future: 2 }),
): Date {
  const hours = {
    late: -random.next() * 100,
    current: random.next() * 3 - 1.5,
    future: random.next() * 40,
    far: random.pick([-1, 1]) * (200 + random.between(0, 3)),
  }[place];
  return new Date(BEGIN_MS + Math.round((clock.hours + hours) * 60) * 60_000);
}

/** A condition that few rows meet, most of them around the clock. */
function some(source: Source): string {
  const from = finiteAt(source, source.random.weighted({ late: 5, current: 4, future: 2, far: 1 }));
  const hours = source.random.between(1, 4);
  return `device_id = ${source.random.between(1, 4)} and ${within(from.toISOString(), hours)}`;
}

function within(from: string, hours: number): string {
  const to = new Date(Date.parse(from) + hours * HOUR_MS).toISOString();
  return `"timestamp" >= '${from}' and "timestamp" < '${to}'`;
}

/** The beginning of the hour that is so many hours after that of the clock. */
function hoursFromClock({ clock }: Source, hours: number): string {
  return new Date(BEGIN_MS + (clock.hours + hours) * HOUR_MS).toISOString();
}
