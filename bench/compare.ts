import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { connectTo, withDatabase } from '../test/support/connect.ts';
import { startServer } from '../test/support/postgres.ts';
import { FAULTS } from './compare/faults.ts';

// Makes a database with a score of faults, and says what each tool that is at hand finds: sensordb, check_postgres, check_pgactivity
// (Debian's packages check-postgres and check-pgactivity), and a file of SQL such as Supabase's splinter.sql.
//
//   npm run compare                       on the embedded server
//   npm run compare -- splinter.sql       and what that query returns
//
// Thresholds of age are lowered where a fault cannot grow old in a minute: for each tool alike.

const EXECUTABLE = fileURLToPath(new URL('../bin/sensordb.js', import.meta.url));
const CONFIG = fileURLToPath(new URL('./compare/sensordb.yaml', import.meta.url));
const [splinter] = process.argv.slice(2);

const server = await startServer({ settings: { autovacuum_naptime: '1d' } });
const admin = connectTo(server.url);
await admin.unsafe('create database faulty');
await admin.end();
const url = withDatabase(server.url, 'faulty');
const clients = [connectTo(url)];
const connect = () => {
  const client = connectTo(url);
  clients.push(client);
  return client;
};
const [sql] = clients as [ReturnType<typeof connectTo>];
try {
  for (const { name, make } of FAULTS) {
    await make(sql, connect);
    process.stdout.write(`made: ${name}\n`);
  }
  show('sensordb inspect', process.execPath, [EXECUTABLE, 'inspect', '--url', url, '--config', CONFIG]);
  const at = ['-H', server.host, '-p', String(server.port)];
  for (const words of CHECK_POSTGRES()) {
    show(`check_postgres ${words.join(' ')}`, 'check_postgres', [
      ...at,
      '-u',
      'postgres',
      '-db',
      'faulty',
      ...words,
    ]);
  }
  for (const words of CHECK_PGACTIVITY()) {
    show(`check_pgactivity ${words.join(' ')}`, '/usr/lib/nagios/plugins/check_pgactivity', [
      ...pgactivity(),
      ...words,
    ]);
  }
  if (splinter !== undefined) {
    // It asks for the roles of a Supabase database.
    for (const role of ['anon', 'authenticated', 'service_role']) await sql.unsafe(`create role ${role}`);
    show(`psql -f ${splinter}`, 'psql', [...psql(), '-1', '-AtF', ' | ', '-f', splinter]);
  }
} finally {
  for (const client of clients) await client.end({ timeout: 1 });
  await server.stop();
}

function CHECK_POSTGRES(): readonly (readonly string[])[] {
  return [
    ['--action=bloat', '-w', '5 MB', '-c', '50 MB'],
    ['--action=autovac_freeze'],
    ['--action=last_analyze', '-w', '7d', '-c', '14d'],
    ['--action=last_vacuum', '-w', '7d', '-c', '14d'],
    ['--action=sequence'],
    ['--action=prepared_txns', '-w', '1'],
    ['--action=txn_idle', '-w', '1', '-c', '60'],
    ['--action=replication_slots', '-w', '1 MB'],
    ['--action=disabled_triggers'],
    ['--action=txn_wraparound'],
  ];
}

function CHECK_PGACTIVITY(): readonly (readonly string[])[] {
  return [
    ['-s', 'btree_bloat', '-w', '20%', '-c', '50%'],
    ['-s', 'table_bloat', '-w', '20%', '-c', '50%'],
    ['-s', 'invalid_indexes'],
    ['-s', 'last_analyze', '-w', '7d', '-c', '14d'],
    ['-s', 'last_vacuum', '-w', '7d', '-c', '14d'],
    ['-s', 'max_freeze_age'],
    ['-s', 'oldest_2pc', '-w', '1s', '-c', '60s'],
    ['-s', 'oldest_idlexact', '-w', '1s', '-c', '60s'],
    ['-s', 'oldest_xmin', '-w', '5', '-c', '100'],
    ['-s', 'replication_slots', '-w', 'wal=1', '-c', 'wal=9999'],
    ['-s', 'sequences_exhausted', '-w', '50%', '-c', '80%'],
    ['-s', 'table_unlogged'],
  ];
}

function pgactivity(): readonly string[] {
  return [
    '-h',
    server.host,
    '-p',
    String(server.port),
    '-U',
    'postgres',
    '-d',
    'faulty',
    '-F',
    'human',
    '--status-file',
    '/tmp/check_pgactivity.data',
  ];
}

function psql(): readonly string[] {
  return ['-h', server.host, '-p', String(server.port), '-U', 'postgres', '-d', 'faulty', '-X', '-q'];
}

function show(title: string, command: string, args: readonly string[]): void {
  const { stdout, stderr, status, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const missing = error !== undefined ? `not at hand: ${error.message}` : '';
  process.stdout.write(`\n== ${title}\n${missing}${stdout ?? ''}${stderr ?? ''}-- exit ${status}\n`);
}
