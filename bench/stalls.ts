import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from 'postgres';
import { connectTo, withDatabase } from '../test/support/connect.ts';
import { openFire } from '../test/support/fire.ts';
import { type RunningServer, startServer } from '../test/support/postgres.ts';
import { type Measured, print } from './stalls/report.ts';
import {
  byPartman,
  bySensordb,
  byStatements,
  fill,
  PHASES,
  type Phase,
  sensordb,
  setUpPartman,
  type Way,
} from './stalls/ways.ts';

// How long a writer stalls at most while twelve leaves are made, detached, attached and dropped, and DEFAULT is drained: by
// sensordb, by plain DDL, by pg_partman. Two writers insert through the parent all the time, and a reader that no partition
// is pruned from keeps a transaction open for 5 s, pauses for 1 s, and begins again. The ways take turns at each phase.
//
//   npm run bench:stalls                  on Debian's PostgreSQL 15, if postgresql-15-partman is there; else on the embedded one
//   npm run bench:stalls -- --embedded    on the embedded one in any case: sensordb and plain DDL alone
//   npm run bench:stalls -- --phases=ensure,drain     these alone: detach and drop want what ensure made
//   npm run bench:stalls -- --json

const DEBIAN = '/usr/lib/postgresql/15';
const HAS_PARTMAN =
  existsSync(`${DEBIAN}/bin/postgres`) && existsSync('/usr/share/postgresql/15/extension/pg_partman.control');
const USES_DEBIAN = HAS_PARTMAN && !process.argv.includes('--embedded');

const WANTED: readonly string[] =
  process.argv
    .find((word) => word.startsWith('--phases='))
    ?.slice('--phases='.length)
    .split(',') ?? PHASES;

/** As PostgreSQL ships: what the tests relax for speed is put back. */
const AS_SHIPPED = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '100',
  max_prepared_transactions: '0',
};

interface Arena {
  readonly way: Way;
  readonly url: string;
  readonly sql: Sql;
  /** The rows that the writers sent so far. */
  sentRows: number;
}

async function openArena(server: RunningServer, way: string, hasDefault: boolean): Promise<Arena> {
  const database = `${way}${hasDefault ? '_default' : ''}`;
  const admin = connectTo(server.url);
  await admin.unsafe(`create database ${database}`);
  await admin.end();
  const url = withDatabase(server.url, database);
  const sql = connectTo(url);
  await sensordb(url, ['migrate', 'up']);
  await sql`insert into sensors_device (name, serial_number) values ('boiler', 'b-1')`;
  if (way === 'partman') await setUpPartman(sql);
  else await sensordb(url, ['partitions', 'ensure', '--months', '1']);
  if (!hasDefault) await sql.unsafe('drop table sensors_sensorreading_default');
  const made = { sensordb: bySensordb, plain: byStatements, partman: (to: string) => byPartman(to, sql) }[
    way
  ];
  if (made === undefined) throw new Error(`There is no way ${way}.`);
  return { way: made(url), url, sql, sentRows: 0 };
}

/** Long enough for the reader to be in its transaction, and for what is left to show. */
const LEAD_MS = 700;

async function measure(arena: Arena, phase: Phase): Promise<Measured> {
  await arena.way.prepare?.(phase);
  await fill(arena.sql, phase);
  return await underFire(arena, phase, () => arena.way.work(phase));
}

async function underFire(
  arena: Arena,
  phase: Measured['phase'],
  work: () => Promise<string>,
): Promise<Measured> {
  const { way, url, sql } = arena;
  const fire = openFire(url, arena.sentRows);
  await sleep(LEAD_MS);
  const start = performance.now();
  const ending = await work();
  const durationMs = performance.now() - start;
  await sleep(LEAD_MS);
  const { writeMs, sentRows, failures } = await fire.stop();
  arena.sentRows += sentRows;
  const [stored] = await sql<{ count: number; distinct: number }[]>`
    select count(*)::int4 as count, count(distinct value)::int4 as distinct
      from sensors_sensorreading where timestamp > '2026-01-01Z'`;
  const isExact = stored?.count === arena.sentRows && stored.distinct === arena.sentRows;
  return { way: way.name, phase, durationMs, ending, writeMs, failures, sentRows, isExact };
}

async function main(): Promise<void> {
  const server = await startServer({
    settings: AS_SHIPPED,
    ...(USES_DEBIAN ? { native: DEBIAN } : {}),
  });
  const note = (text: string) => process.stderr.write(`${text}\n`);
  if (!HAS_PARTMAN) note('pg_partman is not here (apt-get install postgresql-15-partman): done without it.');
  const results: Measured[] = [];
  try {
    for (const hasDefault of [true, false]) {
      const names = ['sensordb', 'plain', ...(USES_DEBIAN ? ['partman'] : [])];
      const arenas: Arena[] = [];
      for (const name of names) arenas.push(await openArena(server, name, hasDefault));
      const add = (measured: Measured) => results.push({ ...measured, hasDefault });
      const [first] = arenas;
      // What the machine does by itself, for comparison.
      if (first) add({ ...(await underFire(first, 'nothing', () => sleep(8000, 'done'))), way: '(none)' });
      for (const phase of PHASES.filter((one) => WANTED.includes(one))) {
        if (phase === 'drain' && !hasDefault) continue;
        for (const arena of arenas.filter(({ way }) => way.lacks !== phase)) {
          note(`${arena.way.name}: ${phase}, ${hasDefault ? 'with' : 'without'} DEFAULT`);
          add(await measure(arena, phase));
        }
      }
      for (const { sql } of arenas) await sql.end();
    }
  } finally {
    await server.stop();
  }
  print(results, process.argv.includes('--json'));
  process.exitCode = results.every(({ failures, isExact }) => failures.length === 0 && isExact) ? 0 : 1;
}

await main();
