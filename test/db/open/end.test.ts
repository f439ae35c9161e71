import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SensordbError } from '../../../src/cli/errors.ts';
import type { OpenSql } from '../../../src/db/open.ts';
import { type RunningServer, startServer } from '../../support/server.ts';
import { open, valueOn } from './support.ts';

const HBA = 'local all all trust\nhost all all 127.0.0.1/32 trust\n';

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ listen: true, hba: HBA });
});

afterAll(() => server.stop());

const tcp = (rest = '') => `host=127.0.0.1 port=${server.port} user=postgres dbname=postgres ${rest}`;

describe('cancelling', () => {
  it.each([0, 1, 100])(
    'ends a statement %d ms after its start with 57014, and the session goes on',
    async (ms) => {
      const connection = await open(tcp());
      const stop = new AbortController();
      const statement = connection.run('select pg_sleep(60)', [], { signal: stop.signal });
      setTimeout(() => stop.abort(), ms);
      await expect(statement).rejects.toMatchObject({ code: '57014', name: 'PostgresError' });
      expect((await connection.run('select pg_backend_pid() as pid')).rows).toEqual([
        { pid: connection.backendPid },
      ]);
      await connection.close();
    },
  );

  it('never sends a statement whose signal was given before', async () => {
    const connection = await open(tcp());
    const signal = AbortSignal.abort();
    await expect(connection.run('create table never_made ()', [], { signal })).rejects.toMatchObject({
      code: '57014',
    });
    expect((await connection.run("select to_regclass('never_made') as oid")).rows).toEqual([{ oid: null }]);
    await connection.close();
  });

  it('leaves the statement before the cancelled one alone', async () => {
    const connection = await open(tcp());
    const stop = new AbortController();
    const first = connection.run("select pg_sleep(0.3), 'done' as word");
    const second = connection.run('select 1', [], { signal: stop.signal });
    stop.abort();
    await expect(second).rejects.toMatchObject({ code: '57014' });
    expect((await first).rows).toMatchObject([{ word: 'done' }]);
    await connection.close();
  });
});

describe('a server that is silent after a cancel request', () => {
  const LOST = {
    exitCode: 1,
    facts: { code: 'connection_lost', message: expect.stringContaining('did not answer') },
  };

  /** Hands the work a session that has run one statement with the signal, and whose server is frozen since. */
  async function withFrozen(work: (session: OpenSql, stop: AbortController) => Promise<void>): Promise<void> {
    const frozen = await startServer();
    const session = await open(frozen.url);
    const stop = new AbortController();
    await session.run('begin', [], { signal: stop.signal });
    const pids = [session.backendPid, frozen.pid];
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await work(session, stop);
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    await session.close();
    await frozen.stop();
  }

  it('is given up, with the statement that runs and all that come after', async () => {
    await withFrozen(async (session, stop) => {
      const statement = session.run('select 1', [], { signal: stop.signal });
      const outcomes = Promise.all([
        expect(statement).rejects.toMatchObject(LOST),
        expect(session.run('rollback')).rejects.toMatchObject(LOST),
      ]);
      setTimeout(() => stop.abort(), 10);
      await outcomes;
    });
  });

  it('is given up, too, when no statement ran then and one is to clean up', async () => {
    await withFrozen(async (session, stop) => {
      stop.abort();
      await expect(session.run('rollback')).rejects.toMatchObject(LOST);
    });
  });
});

describe('the end of a session', () => {
  it('is told once, without a reason when it was asked for', async () => {
    const ends: unknown[] = [];
    const connection = await open(tcp(), { onClose: (lost) => ends.push(lost) });
    await Promise.all([connection.close(), connection.close()]);
    expect(ends).toEqual([null]);
    await expect(connection.run('select 1')).rejects.toMatchObject({ facts: { code: 'connection_lost' } });
  });

  it('cancels the statement that runs, so that the server does not go on with it', async () => {
    const connection = await open(tcp());
    const outcome = expect(connection.run('select pg_sleep(60)')).rejects.toMatchObject({ code: '57014' });
    await delay(50);
    const queued = expect(connection.run('select 1')).rejects.toMatchObject({ exitCode: 1 });
    await connection.close();
    await queued;
    await outcome;
    const query = `select count(*)::int as value from pg_stat_activity where pid = ${connection.backendPid} and state = 'active'`;
    expect(await valueOn(tcp(), query)).toBe(0);
  });

  it.each(['busy', 'idle'])(
    'is never papered over by a new session after the %s one was terminated',
    async (state) => {
      const ends: (SensordbError | null)[] = [];
      const connection = await open(tcp(), { onClose: (lost) => ends.push(lost) });
      const other = await open(tcp());
      const lost = { facts: { code: 'connection_lost', sqlstate: '57P01' } };
      const outcome =
        state === 'busy' ? expect(connection.run('select pg_sleep(60)')).rejects.toMatchObject(lost) : null;
      await other.run('select pg_terminate_backend($1, 10000)', [connection.backendPid]);
      await outcome;
      await expect.poll(() => ends).toMatchObject([lost]);
      await expect(connection.run('select 1')).rejects.toMatchObject(lost);
      await expect(connection.sql`select 1`).rejects.toThrow('the connection is closed');
      await connection.close();
      const sessions = "select count(*)::int as n from pg_stat_activity where application_name = 'sensordb'";
      await expect.poll(async () => (await other.run(sessions)).rows).toEqual([{ n: 1 }]);
      await other.close();
    },
  );

  it('is told to a statement that is sent once another has found the connection broken', async () => {
    const connection = await open(server.url);
    process.kill(connection.backendPid, 'SIGTERM');
    // Without a look at the socket meanwhile, so that the first statement is written into a broken pipe.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    const lost = { facts: { code: 'connection_lost' } };
    await expect(connection.run('select 1')).rejects.toMatchObject(lost);
    await expect(connection.run('select 2')).rejects.toMatchObject(lost);
    await connection.close();
  });

  it('comes quickly after the server was killed in the middle of a statement', async () => {
    const doomed = await startServer({ listen: true, hba: HBA });
    const sessions = await Promise.all([
      open(doomed.url),
      open(`host=127.0.0.1 port=${doomed.port} user=postgres dbname=postgres`),
    ]);
    const outcomes = sessions.map((session) =>
      expect(session.run('select pg_sleep(60)')).rejects.toMatchObject({
        exitCode: 1,
        facts: { code: 'connection_lost' },
      }),
    );
    await doomed.kill();
    await Promise.all(outcomes);
    await Promise.all(sessions.map((session) => session.close()));
    await doomed.stop();
  });

  it('comes even when the server is frozen', async () => {
    const frozen = await startServer();
    const session = await open(frozen.url);
    const outcome = expect(session.run('select pg_sleep(60)')).rejects.toMatchObject({ exitCode: 1 });
    process.kill(session.backendPid, 'SIGSTOP');
    process.kill(frozen.pid, 'SIGSTOP');
    await session.close();
    await outcome;
    process.kill(frozen.pid, 'SIGCONT');
    process.kill(session.backendPid, 'SIGCONT');
    await frozen.stop();
  });
});
