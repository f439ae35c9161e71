import { chown, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SensordbError } from '../../src/cli/errors.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import { open, refusalOf, valueOn } from './open/support.ts';

const HBA = `
local all all trust
host all scram_user,limited 127.0.0.1/32 scram-sha-256
host all md5_user 127.0.0.1/32 md5
host all plain_user 127.0.0.1/32 password
host all postgres 127.0.0.1/32 trust
`;

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ listen: true, hba: HBA });
  const admin = await open(server.url);
  await admin.run(`create role scram_user login password 'p@ss "1" é'`);
  await admin.run(`create role limited login password 'x' connection limit 0`);
  await admin.run(`create role plain_user login password 'clear'`);
  await admin.run(`set password_encryption = md5; create role md5_user login password 'old'`);
  await admin.run('create database closed');
  await admin.run('revoke connect on database closed from public');
  await admin.close();
});

afterAll(() => server.stop());

const tcp = (rest = '') => `host=127.0.0.1 port=${server.port} user=postgres dbname=postgres ${rest}`;

describe('a login', () => {
  it.each([
    ['scram_user', 'p@ss "1" é'],
    ['md5_user', 'old'],
    ['plain_user', 'clear'],
  ])('of %s succeeds with the right password and fails with a wrong one', async (user, password) => {
    const url = tcp(`user=${user}`);
    expect(await valueOn(url, 'select session_user::text as value', { PGPASSWORD: password })).toBe(user);
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

describe('target_session_attrs in a list', () => {
  let standby: RunningServer;

  // A server that waits for the WAL of a primary that never comes is a standby all the same.
  beforeAll(async () => {
    standby = await startServer({
      listen: true,
      hba: HBA,
      prepare: async (dataDirectory, account) => {
        const path = join(dataDirectory, 'standby.signal');
        await writeFile(path, '');
        if (account !== null) await chown(path, account.uid, account.gid);
      },
    });
  });

  afterAll(() => standby.stop());

  it.each([
    ['any', 'first'],
    ['primary', 'first'],
    ['read-write', 'first'],
    ['standby', 'second'],
    ['prefer-standby', 'second'],
    ['read-only', 'second'],
  ])('%s goes to the %s of a primary and a standby', async (attrs, which) => {
    const ports = [server.port, standby.port];
    const hosts = 'host=127.0.0.1,127.0.0.1';
    const attempt = (list: readonly number[]) =>
      open(`${hosts} port=${list.join(',')} user=postgres target_session_attrs=${attrs}`);
    const straight = await attempt(ports);
    await straight.close();
    expect(straight.endpoint.port).toBe(ports[which === 'first' ? 0 : 1]);
    const reversed = await attempt(ports.toReversed());
    await reversed.close();
    expect(reversed.endpoint.port).toBe(attrs === 'any' ? standby.port : straight.endpoint.port);
  });
});
