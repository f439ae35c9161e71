import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SensordbError } from '../../src/cli/errors.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import { open, refusalOf } from './open/support.ts';

const HBA = `
local all all trust
host all scram_user,scram_empty,limited 127.0.0.1/32 scram-sha-256
host all md5_user 127.0.0.1/32 md5
host all plain_user 127.0.0.1/32 password
host all postgres 127.0.0.1/32 trust
`;

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ listen: true, hba: HBA });
  const admin = await open(server.url);
  await admin.run(`create role scram_user login password 'p@ss "1" é'`);
  await admin.run(`create role scram_empty login`);
  await admin.run(`create role limited login password 'x' connection limit 0`);
  await admin.run(`create role plain_user login password 'clear'`);
  await admin.run(`set password_encryption = md5; create role md5_user login password 'old'`);
  await admin.run('create database closed');
  await admin.run('revoke connect on database closed from public');
  await admin.close();
});

afterAll(() => server.stop());

const tcp = (rest = '') => `host=127.0.0.1 port=${server.port} user=postgres dbname=postgres ${rest}`;

async function one<T>(url: string, query: string, env: Record<string, string> = {}): Promise<T | undefined> {
  const connection = await open(url, {}, env);
  const { rows } = await connection.run<{ value: T }>(query);
  await connection.close();
  return rows[0]?.value;
}

describe('a login', () => {
  it.each([
    ['scram_user', 'p@ss "1" é'],
    ['md5_user', 'old'],
    ['plain_user', 'clear'],
  ])('of %s succeeds with the right password and fails with a wrong one', async (user, password) => {
    const url = tcp(`user=${user}`);
    expect(await one(url, 'select session_user::text as value', { PGPASSWORD: password })).toBe(user);
    const error = await refusalOf(open(url, {}, { PGPASSWORD: 'wrong-words' }));
    expect(error).toMatchObject({ exitCode: 4, facts: { code: 'auth_failed', sqlstate: '28P01' } });
    expect(error.message).toContain(`${user}@127.0.0.1:${server.port}/postgres`);
    expect(JSON.stringify(error.facts)).not.toContain('wrong-words');
    expect(error.facts.hint).toContain('.pgpass');
  });

  it.each(['scram_user', 'md5_user', 'plain_user'])(
    'of %s without a password is given up at once',
    async (user) => {
      const error = await refusalOf(open(tcp(`user=${user}`)));
      expect(error).toMatchObject({ exitCode: 4, facts: { code: 'auth_failed' } });
      expect(error.message).toContain('none is given');
    },
  );

  it.each([
    ['dbname=nowhere', 'database_missing', '3D000'],
    ['user=nobody_here', 'auth_failed', '28000'],
    ['user=limited password=x', 'too_many_connections', '53300'],
    ['options=-cnonsense=1', 'login_refused', '42704'],
  ])('with %s fails as %s', async (rest, code, sqlstate) => {
    const error = await refusalOf(open(tcp(rest)));
    expect(error).toMatchObject({ exitCode: 4, facts: { code, sqlstate } });
  });

  it('without the right to connect to the database fails as auth_failed', async () => {
    const error = await refusalOf(open(tcp('user=plain_user password=clear dbname=closed')));
    expect(error.facts).toMatchObject({ code: 'auth_failed', sqlstate: '42501' });
  });

  it('by GSSAPI, which the driver does not have, fails instead of hanging', async () => {
    const peer = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 7])));
    });
    await new Promise<void>((done) => peer.listen(0, '127.0.0.1', done));
    const bound = peer.address();
    const port = typeof bound === 'object' ? bound?.port : 0;
    const error = await refusalOf(open(`host=127.0.0.1 port=${port} user=u sslmode=disable`));
    peer.close();
    expect(error.facts.code).toBe('auth_failed');
    expect(error.message).toContain('GSSAPI');
  });
});

describe('a server that does not answer', () => {
  it.each([
    ['host=127.0.0.1 port=1', 'nobody listens there'],
    ['host=name.invalid', 'unknown'],
    ['host=/nonexistent', 'the socket does not exist'],
  ])('%s is reported: %s', async (url, reason) => {
    const error = await refusalOf(open(`${url} user=me dbname=d`));
    expect(error).toMatchObject({ exitCode: 4, facts: { code: 'server_unreachable' } });
    expect(error.message).toContain(reason);
    expect(error.message).toContain('me@');
  });

  it('is passed over for the next in the list', async () => {
    const url = `host=127.0.0.1,name.invalid,/nonexistent,127.0.0.1 port=1,5432,5432,${server.port} user=postgres`;
    const connection = await open(url);
    expect(connection.endpoint.port).toBe(server.port);
    await connection.close();
  });

  it('is named with all the others when none answers', async () => {
    const error = await refusalOf(open('host=127.0.0.1,/nonexistent port=1,2 user=me dbname=d'));
    expect(error.facts.code).toBe('server_unreachable');
    expect(error.message).toContain('127.0.0.1:1/d: nobody listens there');
    expect(error.message).toContain('/nonexistent:2/d: the socket does not exist');
  });

  it('is not passed over when it refuses the login', async () => {
    const url = `host=127.0.0.1,127.0.0.1 port=${server.port},${server.port} user=nobody_here,postgres`;
    expect((await refusalOf(open(url))).facts.code).toBe('auth_failed');
  });

  it('is waited for no longer once the caller gives up', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    const bound = silent.address();
    const port = typeof bound === 'object' ? bound?.port : 0;
    const stop = new AbortController();
    const attempt = open(`host=127.0.0.1 port=${port} user=u connect_timeout=0`, { signal: stop.signal });
    setTimeout(() => stop.abort(new Error('enough')), 50);
    await expect(attempt).rejects.toThrow('enough');
    silent.close();
  });

  it('is tried again later when it shuts down, and passed over until then', async () => {
    const leaving = await startServer({ listen: true });
    const session = await open(leaving.url);
    // A smart shutdown waits for the sessions there are, and answers new ones with 57P03.
    process.kill(leaving.pid, 'SIGTERM');
    const address = `host=127.0.0.1 port=${leaving.port} user=postgres`;
    const refusal = () =>
      open(address).then(
        (connection) => connection.close(),
        (error: SensordbError) => error.facts,
      );
    await expect.poll(refusal).toMatchObject({ code: 'server_starting', sqlstate: '57P03' });
    const both = `host=127.0.0.1,127.0.0.1 port=${leaving.port},${server.port} user=postgres`;
    const connection = await open(both);
    expect(connection.endpoint.port).toBe(server.port);
    await connection.close();
    await session.close();
    await leaving.stop();
  });
});

describe('target_session_attrs', () => {
  const READ_ONLY = "options='-c default_transaction_read_only=on'";

  it.each([
    ['any', '', true],
    ['any', READ_ONLY, true],
    ['read-write', '', true],
    ['read-write', READ_ONLY, false],
    ['read-only', '', false],
    ['read-only', READ_ONLY, true],
    ['primary', READ_ONLY, true],
    ['standby', '', false],
    ['prefer-standby', '', true],
  ])('%s on a primary with %j: %s', async (attrs, rest, accepted) => {
    const attempt = open(tcp(`${rest} target_session_attrs=${attrs}`));
    if (accepted) return (await attempt).close();
    const error = await refusalOf(attempt);
    expect(error).toMatchObject({ exitCode: 4, facts: { code: 'wrong_server' } });
    expect(error.message).toContain(attrs);
  });
});

describe('the session', () => {
  it('has UTC, ISO dates, UTF-8 and a name, whatever the environment says', async () => {
    const query = `select concat_ws('|', current_setting('TimeZone'), current_setting('DateStyle'),
      current_setting('client_encoding'), current_setting('application_name')) as value`;
    const env = { PGTZ: 'Asia/Tokyo', PGDATESTYLE: 'German', PGCLIENTENCODING: 'LATIN1' };
    expect(await one(tcp(), query, env)).toBe('UTC|ISO, MDY|UTF8|sensordb');
  });

  it('honours PGOPTIONS, PGAPPNAME and PGGEQO', async () => {
    const query = `select concat_ws('|', current_setting('statement_timeout'), current_setting('my.words'),
      current_setting('application_name'), current_setting('geqo')) as value`;
    const env = {
      PGOPTIONS: '-c statement_timeout=12s -c my.words=a\\ b',
      PGAPPNAME: 'mine',
      PGGEQO: 'off',
    };
    expect(await one(tcp(), query, env)).toBe('12s|a b|mine|off');
  });

  it("is not touched by the driver's own reading of the environment", async () => {
    const hostile = {
      PGHOST: 'name.invalid',
      PGPORT: '1',
      PGDATABASE: 'nowhere',
      PGUSER: 'nobody_here',
      PGUSERNAME: 'nobody_here',
      PGPASSWORD: 'wrong',
      PGAPPNAME: 'theirs',
      PGTARGETSESSIONATTRS: 'any',
      PGSSL: 'require',
      PGSSLNEGOTIATION: 'direct',
      PGMAX: '0',
      PGPREPARE: 'true',
      PGFETCH_TYPES: 'true',
      PGIDLE_TIMEOUT: '0.001',
      PGMAX_LIFETIME: '0.001',
      PGCONNECT_TIMEOUT: '0.001',
      PGDEBUG: 'true',
      PGBACKOFF: '60',
    };
    const before = { ...process.env };
    try {
      for (const attrs of ['any', 'standby', 'read-only', 'nonsense']) {
        Object.assign(process.env, hostile, { PGTARGETSESSIONATTRS: attrs });
        const connection = await open(tcp());
        await delay(20);
        const { rows } = await connection.run('select pg_backend_pid() as pid, session_user::text as name');
        expect(rows).toEqual([{ pid: connection.backendPid, name: 'postgres' }]);
        await connection.close();
      }
    } finally {
      for (const name of Object.keys(hostile)) delete process.env[name];
      Object.assign(process.env, before);
    }
  });

  it('hands notices to its owner and prints none', async () => {
    const notices: (string | undefined)[] = [];
    const connection = await open(tcp(), { onNotice: (notice) => notices.push(notice.message) });
    await connection.run("do $$ begin raise notice 'look here'; end $$");
    await connection.close();
    expect(notices).toEqual(['look here']);
  });

  it('sends values as they are and gives timestamps, big numbers and arrays back as text', async () => {
    const connection = await open(tcp());
    const { rows } = await connection.run(
      `select $1::jsonb ->> 'a' as json, $2::timestamptz as at, $3::timestamptz as never, $4::text[] as texts,
              $5::bytea as bytes, $6::bool as yes, $7::int8 as big, $8::int as none, $9::jsonb ->> 0 as list,
              'infinity'::date as day, $10::timestamptz as date, 1.5::float8 as double, $11::int[] as grid`,
      [
        '{"a": "b"}',
        '2026-01-01 00:00:00.123456+00',
        '-infinity',
        ['a"b\\c', null, 'null', ''],
        new Uint8Array([0, 255]),
        true,
        2n ** 62n,
        null,
        JSON.stringify([7]),
        new Date(0),
        [
          [1, 2],
          [3, 4],
        ],
      ],
    );
    await connection.close();
    expect(rows[0]).toEqual({
      json: 'b',
      at: '2026-01-01 00:00:00.123456+00',
      never: '-infinity',
      texts: '{"a\\"b\\\\c",NULL,"null",""}',
      bytes: Buffer.from([0, 255]),
      yes: true,
      big: '4611686018427387904',
      none: null,
      list: '7',
      day: 'infinity',
      date: '1970-01-01 00:00:00+00',
      double: 1.5,
      grid: '{{1,2},{3,4}}',
    });
  });

  it('counts what a statement did, and takes the last of several statements', async () => {
    const connection = await open(tcp());
    expect(await connection.run('create temp table t (n int)')).toMatchObject({
      command: 'CREATE TABLE',
      count: null,
    });
    expect(await connection.run('insert into t values (1), (2)')).toMatchObject({
      command: 'INSERT',
      count: 2,
    });
    expect(await connection.run('delete from t where n > $1', [1])).toMatchObject({ count: 1 });
    const { rows } = await connection.run('select 1 as a; select 2 as b');
    expect(rows).toEqual([{ b: 2 }]);
    await connection.close();
  });

  it('passes on the errors of statements and goes on', async () => {
    const connection = await open(tcp());
    await expect(connection.run('select 1/0')).rejects.toMatchObject({ code: '22012' });
    await expect(connection.run('select $1::int', ['x'])).rejects.toMatchObject({ code: '22P02' });
    await expect(connection.run('select $1', [undefined])).rejects.toThrow(TypeError);
    expect((await connection.run('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await connection.close();
  });

  it('runs statements one after the other in one transaction', async () => {
    const connection = await open(tcp());
    const results = await Promise.all(
      [
        'begin',
        'create temp table u (n int) on commit drop',
        'insert into u values (1)',
        'select count(*)::int as n from u',
        'rollback',
      ].map((text) => connection.run(text)),
    );
    expect(results[3]?.rows).toEqual([{ n: 1 }]);
    await connection.close();
  });
});

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
    expect(await one(tcp(), query)).toBe(0);
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
