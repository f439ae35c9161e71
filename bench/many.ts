import { spawnCli } from '../test/support/cli.ts';
import { connectTo } from '../test/support/connect.ts';
import { startServer } from '../test/support/postgres.ts';
import { startProxy } from '../test/support/proxy.ts';

// A table of 5,000 daily leaves on a server as it ships: 64 locks a transaction and 100 connections, so that a transaction that
// locked all leaves would end with "out of shared memory" (53200). Prints what each command took, and exits 1 if one failed.
//
//   npm run soak
//   npm run soak -- 500        with so many leaves, of which 12 % are detached, attached and dropped

const LEAVES = Number(process.argv[2] ?? 5000);
const SOME = Math.round(LEAVES * 0.12);
const AS_SHIPPED = { max_connections: '100', max_prepared_transactions: '0' };

const dayOf = (number: number): string => new Date(Date.UTC(2020, 0, 1 + number)).toISOString().slice(0, 10);
const nameOf = (number: number): string => `readings_${dayOf(number).replaceAll('-', '_')}`;
const OLDEST = Array.from({ length: SOME }, (_, number) => nameOf(number));

/** What is done, and the key of the outcome that lists what was done. */
const COMMANDS: readonly (readonly [string, readonly string[], string, number])[] = [
  [
    'ensure all',
    ['ensure', '--from', dayOf(0), '--until', dayOf(LEAVES), '--interval', 'day'],
    'created',
    LEAVES,
  ],
  ['ensure, nothing to do', ['ensure', '--from', dayOf(0), '--until', dayOf(LEAVES)], 'created', 0],
  [`detach ${SOME}`, ['detach', '--before', dayOf(SOME), '--no-gate', '--yes'], 'detached', SOME],
  [`attach ${SOME}`, ['attach', ...OLDEST], 'attached', SOME],
  [`repair of ${SOME}`, ['repair'], 'mended', SOME],
  ['repair, nothing to do', ['repair'], 'mended', 0],
  [`drop ${SOME}`, ['drop', '--before', dayOf(SOME), '--yes'], 'dropped', SOME],
  ['drain', ['drain'], 'drained', 20],
  ['list', ['list'], 'partitions', LEAVES - SOME + 21],
];

const server = await startServer({ settings: AS_SHIPPED });
const sql = connectTo(server.url);
try {
  await sql.unsafe(`
    create table device (id int primary key);
    insert into device values (1);
    create table readings (id bigint, device_id int references device, at timestamptz, primary key (id, at))
      partition by range (at);
    create index on readings using brin (at);
    create table readings_default partition of readings default`);
  process.stdout.write('| command | took | statements | done | ended |\n|---|---|---|---|---|\n');
  for (const [what, words, key, expected] of COMMANDS) {
    if (what.startsWith('repair of')) {
      for (const name of OLDEST) await sql.unsafe(`alter table ${name} replica identity full`);
    }
    if (what === 'drain') {
      await sql`insert into readings select n, 1, timestamptz '2019-01-01Z' + n * interval '1 hour' from generate_series(0, 479) n`;
    }
    const proxy = await startProxy(server.url);
    const start = performance.now();
    const run = spawnCli(['partitions', ...words, '--table', 'readings', '--json'], { url: proxy.url });
    const { exitCode, stdout } = await run.ended;
    const seconds = (performance.now() - start) / 1000;
    await proxy.close();
    const { data, error } = JSON.parse(stdout);
    const done = data[key]?.length ?? 0;
    if (exitCode !== 0 || done !== expected) process.exitCode = 1;
    const ending = error === null ? `exit ${exitCode}` : `exit ${exitCode}: ${error.message}`;
    process.stdout.write(
      `| ${what} | ${seconds.toFixed(1)} s | ${proxy.statements.length} | ${done} of ${expected} | ${ending} |\n`,
    );
  }
} finally {
  await sql.end();
  await server.stop();
}
