import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Sql } from 'postgres';
import { connectTo, withDatabase } from '../../test/support/connect.ts';
import { runMigrations } from '../../test/support/migrations.ts';
import type { RunningServer } from '../../test/support/postgres.ts';

const EXECUTABLE = fileURLToPath(new URL('../../bin/sensordb.js', import.meta.url));

/** As PostgreSQL ships: what the tests relax for speed is put back. */
export const AS_SHIPPED = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '100',
  max_prepared_transactions: '0',
};

/** How many devices send readings. */
export const DEVICES = 500;

/** A database with readings. */
export interface Arena {
  readonly name: string;
  readonly url: string;
  readonly sql: Sql;
  readonly rows: number;
}

/** Readings to be made: so many of each device, one in so many seconds, ending now. */
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
    select nextval('sensors_sensorreading_id_seq'), d, at + make_interval(secs => d * ${everySeconds} / ${DEVICES}.0), random() * 100
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

/** What one process came to. */
export interface Ran {
  readonly seconds: number;
  /** The most memory that it had at any moment, in megabytes. */
  readonly peakMb: number;
}

/** Runs sensordb in a process of its own, and looks at its memory while it runs. */
export async function runSensordb(url: string, args: readonly string[]): Promise<Ran> {
  const start = process.hrtime.bigint();
  const child = spawn(process.execPath, [EXECUTABLE, ...args], {
    env: { ...process.env, SENSORDB_DATABASE_URL: url },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let [said, peakMb] = ['', 0];
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const watch = setInterval(() => {
    peakMb = Math.max(peakMb, peakOf(child.pid));
  }, 10);
  const code = await new Promise((resolve) => child.on('exit', resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`sensordb ${args.join(' ')} ended with ${code}: ${said}`);
  return { seconds: Number(process.hrtime.bigint() - start) / 1e9, peakMb };
}

/** VmHWM is the peak since the process began; only Linux tells. */
function peakOf(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0; // It has ended.
  }
}

/** Times a process that is nothing but a bare Node. */
export function runBareNode(): number {
  const start = process.hrtime.bigint();
  spawnSync(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  return Number(process.hrtime.bigint() - start) / 1e9;
}

/** Gives the median. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Prints one line of a table. */
export function row(...cells: readonly string[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}
