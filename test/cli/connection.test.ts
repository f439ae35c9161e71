import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, spawnCli } from '../support/cli.ts';
import { until } from '../support/live.ts';
import {
  connectTo,
  createDatabase,
  type RunningServer,
  startServer,
  type TestDatabase,
} from '../support/server.ts';

const SECRET = 'hush-hush';

let database: TestDatabase;
let server: RunningServer;
beforeAll(async () => {
  database = await createDatabase();
  await database.sql.unsafe('create table t (at date) partition by range (at)');
  server = await startServer({
    listen: true,
    hba: 'local all all trust\nhost all all all scram-sha-256\n',
  });
  const sql = connectTo(server.url);
  await sql.unsafe(`create role app superuser login password '${SECRET}'`);
  await sql.unsafe('create table t (at date) partition by range (at)');
  await sql.end();
});
afterAll(async () => {
  await database.drop();
  await server.stop();
});

const loginAs = (user: string, password: string, name = 'postgres') =>
  `postgresql://${user}:${password}@127.0.0.1:${server.port}/${name}`;

describe('a password in --url', () => {
  it('is not on show in the process list while the command runs', async () => {
    let connected = false;
    const silent = createServer((socket) => {
      connected = true;
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    for (const form of [
      ['--url', `postgresql://u:${SECRET}@127.0.0.1:${port}/d`],
      [`--url=host=127.0.0.1 port=${port} user=u password=${SECRET}`],
    ]) {
      connected = false;
      const run = spawnCli(['partitions', 'list', ...form]);
      await until('it connects', () => connected);
      const shown = `/proc/${run.pid}/cmdline`;
      if (existsSync('/proc/self/cmdline')) expect(readFileSync(shown, 'utf8')).toMatch(/^sensordb\0*$/);
      run.kill('SIGTERM');
      const { stdout, stderr } = await run.ended;
      expect(stdout + stderr).not.toContain(SECRET);
    }
    silent.close();
  });

  it('is warned of, and kept out of every output and the run log', async () => {
    const url = loginAs('app', SECRET);
    const words = ['partitions', 'ensure', '--table', 't', '--interval', 'month', '--months', '1'];
    const json = await runCli([...words, '--json', '--url', url], { env: { SENSORDB_DEBUG: '1' } });
    expect(json.exitCode).toBe(0);
    expect(json.json().warnings).toMatchObject([{ code: 'password_in_arguments' }]);
    const text = await runCli([...words, '--url', url]);
    expect(text.stderr).toMatch(/^warning: A password in --url is on show/);
    const sql = connectTo(server.url);
    const log = await sql`select r::text as line from sensordb.run_log r`;
    await sql.end();
    expect(log).toHaveLength(2);
    expect(JSON.stringify([json, text, log])).not.toContain(SECRET);
  });

  it('is warned of, too, when there is no connection, or the command fails', async () => {
    for (const [url, exitCode] of [
      [loginAs('app', 'wrong'), 4],
      [loginAs('app', SECRET), 2],
    ] as const) {
      const words = ['partitions', 'list', '--table', 'nowhere', '--url', url];
      const text = await runCli(words);
      expect(text.exitCode).toBe(exitCode);
      expect(text.stderr).toMatch(/^warning: A password in --url is on show.*\nerror: /);
      expect((await runCli([...words, '--json'])).json()).toMatchObject({
        ok: false,
        warnings: [{ code: 'password_in_arguments' }],
        error: { message: expect.any(String) },
      });
    }
  });

  it.each([
    ['wrong', () => loginAs('app', `${SECRET}-wrong`), 4],
    ['for a server that is not there', () => `postgresql://u:${SECRET}@127.0.0.1:1/d`, 4],
    ['in a URL that cannot be read', () => `postgresql://u:${SECRET}@h:port/d`, 2],
    ['in a key=value string that cannot be read', () => `host=h password='${SECRET}`, 2],
    ['given where a command is expected', () => `postgresql://u:${SECRET}@h/d`, 2],
  ])('is in no error when it is %s', async (what, url, exitCode) => {
    const where = what.startsWith('given') ? [url()] : ['--url', url()];
    for (const output of [[], ['--json']]) {
      const result = await runCli(['partitions', 'list', ...where, ...output], {
        env: { SENSORDB_DEBUG: '1' },
      });
      expect(result.exitCode).toBe(exitCode);
      expect(result.stdout + result.stderr).not.toContain(SECRET);
    }
  });
});

describe('without a connection', () => {
  it.each([
    ['there is no server', () => 'postgresql://u@127.0.0.1:1/d', 'server_unreachable', null],
    ['there is no socket', () => 'postgresql://u@/d?host=/nowhere', 'server_unreachable', null],
    ['the password is wrong', () => loginAs('app', 'wrong'), 'auth_failed', '28P01'],
    ['the database does not exist', () => loginAs('app', SECRET, 'nodb'), 'database_missing', '3D000'],
  ])('a command exits 4 when %s', async (_what, url, code, sqlstate) => {
    const { exitCode, json, stderr } = await runCli(['partitions', 'list', '--json'], { url: url() });
    expect([exitCode, stderr]).toEqual([4, '']);
    expect(json()).toMatchObject({ ok: false, command: 'partitions list', error: { code, sqlstate } });
  });

  it('a command exits 2 in an empty environment, and names the ways to configure one', async () => {
    const { exitCode, json } = await runCli(['partitions', 'list', '--json'], { env: {} });
    expect(exitCode).toBe(2);
    for (const way of ['--url', 'SENSORDB_DATABASE_URL', 'DATABASE_URL', 'PGHOST', '--embedded']) {
      expect(`${json().error?.message} ${json().error?.hint}`).toContain(way);
    }
  });
});

it("works in cron's environment with SENSORDB_DATABASE_URL alone", async () => {
  const run = spawnCli(['partitions', 'list', '--table', 't', '--json'], {
    url: database.url,
    env: { HOME: '', LANG: '', PATH: '/usr/bin:/bin' },
  });
  const { exitCode, json, stderr } = await run.ended;
  expect([exitCode, json().ok, stderr]).toEqual([0, true, '']);
});

it("keeps the server's notices off stdout, and shows its warnings unless it is quiet", async () => {
  await database.sql.unsafe(`create function chatty() returns event_trigger language plpgsql as
      $$ begin raise notice 'by the way'; raise warning 'careful'; end $$;
    create event trigger chatty on ddl_command_end execute function chatty()`);
  const words = ['partitions', 'ensure', '--table', 't', '--interval', 'month', '--months'];
  const { stdout, stderr, json } = await runCli([...words, '1', '--json'], { url: database.url });
  expect(json().ok).toBe(true);
  expect(stdout).not.toMatch(/careful|by the way/);
  expect(stderr).toMatch(/^(server warning: careful\n)+$/);
  const quiet = await runCli([...words, '2', '--quiet'], { url: database.url });
  expect([quiet.exitCode, quiet.stdout, quiet.stderr]).toEqual([0, '', '']);
});
