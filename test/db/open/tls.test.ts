import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../../support/server.ts';
import { makeFolder } from '../conninfo/support.ts';
import { copyFixture, fixture, isEncrypted, open, refusalOf } from './support.ts';

let server: RunningServer;
let plainServer: RunningServer;

// The server's certificate is for localhost and db.test; the client's is for tls_user.
const HBA = `
local all all trust
hostssl all tls_user 127.0.0.1/32 cert
hostnossl all plain_user 127.0.0.1/32 trust
hostssl all tls_only 127.0.0.1/32 trust
host all postgres 127.0.0.1/32 trust
`;

beforeAll(async () => {
  plainServer = await startServer({
    listen: true,
    hba: 'local all all trust\nhost all all 127.0.0.1/32 trust\n',
  });
  server = await startServer({
    listen: true,
    hba: HBA,
    settings: { ssl: 'on', ssl_ca_file: 'ca.crt' },
    prepare: async (dataDirectory, account) => {
      const owner = account ?? {};
      copyFixture('server.crt', dataDirectory, owner);
      copyFixture('server.key', dataDirectory, owner);
      copyFixture('ca.crt', dataDirectory, owner);
    },
  });
  const admin = await open(server.url);
  await admin.run('create role tls_user login; create role plain_user login; create role tls_only login');
  await admin.close();
});

afterAll(async () => {
  await server.stop();
  await plainServer.stop();
});

const secure = (rest: string, user = 'postgres') =>
  `host=db.test hostaddr=127.0.0.1 port=${server.port} user=${user} dbname=postgres ${rest}`;
const plain = (rest: string) =>
  `host=db.test hostaddr=127.0.0.1 port=${plainServer.port} user=postgres dbname=postgres ${rest}`;
const CA = `sslrootcert=${fixture('ca.crt')}`;
const OTHER_CA = `sslrootcert=${fixture('other-ca.crt')}`;

describe('sslmode', () => {
  it.each([
    ['disable', false],
    ['allow', false],
    ['prefer', true],
    ['require', true],
  ])('%s on a server that has TLS gives an encrypted connection: %s', async (mode, encrypted) => {
    expect(await isEncrypted(open(secure(`sslmode=${mode}`)))).toBe(encrypted);
  });

  it.each(['disable', 'allow', 'prefer'])('%s does without TLS on a server that has none', async (mode) => {
    expect(await isEncrypted(open(plain(`sslmode=${mode}`)))).toBe(false);
  });

  it.each(['require', 'verify-ca', 'verify-full'])(
    '%s is refused by a server without TLS in clear words',
    async (mode) => {
      const error = await refusalOf(open(plain(`sslmode=${mode} ${CA}`)));
      expect(error).toMatchObject({ exitCode: 4, facts: { code: 'tls_failed' } });
      expect(error.message).toContain('the server does not offer it');
    },
  );

  it('prefer goes on without TLS where pg_hba.conf lets in nothing else', async () => {
    expect(await isEncrypted(open(secure('sslmode=prefer', 'plain_user')))).toBe(false);
    const error = await refusalOf(open(secure('sslmode=require', 'plain_user')));
    expect(error.facts).toMatchObject({ code: 'auth_failed', sqlstate: '28000' });
  });

  it('allow goes on with TLS where pg_hba.conf lets in nothing else', async () => {
    expect(await isEncrypted(open(secure('sslmode=allow', 'tls_only')))).toBe(true);
    const error = await refusalOf(open(secure('sslmode=disable', 'tls_only')));
    expect(error.facts).toMatchObject({ code: 'auth_failed', sqlstate: '28000' });
  });

  it('says of a refused login why it was refused, not that there is no TLS to try next', async () => {
    const error = await refusalOf(open(`${plain('sslmode=allow')} user=nobody_here`));
    expect(error.facts.code).toBe('auth_failed');
  });

  it('is no matter on a Unix socket', async () => {
    expect(await isEncrypted(open(`${server.url}&sslmode=verify-full`))).toBe(false);
  });
});

describe("the server's certificate", () => {
  it.each([
    ['verify-full', CA],
    ['verify-ca', CA],
    ['require', CA],
    ['require', OTHER_CA.replace('other-ca.crt', 'missing.crt')],
  ])('is accepted by %s with %s', async (mode, root) => {
    expect(await isEncrypted(open(secure(`sslmode=${mode} ${root}`)))).toBe(true);
  });

  it.each(['require', 'verify-ca', 'verify-full'])('of another authority is refused by %s', async (mode) => {
    const error = await refusalOf(open(secure(`sslmode=${mode} ${OTHER_CA}`)));
    expect(error).toMatchObject({ exitCode: 4, facts: { code: 'tls_failed' } });
    expect(error.message).toContain('certificate');
  });

  it('of another authority makes prefer go on in plain text, as libpq does', async () => {
    expect(await isEncrypted(open(secure(`sslmode=prefer ${OTHER_CA}`)))).toBe(false);
  });

  it('for another host is refused by verify-full and accepted by verify-ca', async () => {
    const elsewhere = secure(CA).replace('db.test', 'other.test');
    expect(await isEncrypted(open(`${elsewhere} sslmode=verify-ca`))).toBe(true);
    const error = await refusalOf(open(`${elsewhere} sslmode=verify-full`));
    expect(error.facts.code).toBe('tls_failed');
    expect(error.message).toContain('not for the host other.test');
  });

  it('is not looked for in a name by verify-full where only an address is known', async () => {
    const error = await refusalOf(open(secure(`${CA} sslmode=verify-full`).replace('host=db.test', '')));
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain('host name');
  });

  it.each(['verify-ca', 'verify-full'])(
    'cannot be checked by %s without a root certificate, which is named',
    async (mode) => {
      const home = makeFolder();
      const error = await refusalOf(open(secure(`sslmode=${mode}`), {}, {}, home));
      expect(error.exitCode).toBe(2);
      expect(error.message).toContain(join(home, '.postgresql', 'root.crt'));
    },
  );

  it('is checked with ~/.postgresql/root.crt where that exists, even by require', async () => {
    const home = makeFolder();
    mkdirSync(join(home, '.postgresql'));
    copyFixture('other-ca.crt', join(home, '.postgresql'), { as: 'root.crt' });
    const error = await refusalOf(open(secure('sslmode=require'), {}, {}, home));
    expect(error.facts.code).toBe('tls_failed');
  });

  it('is refused once it is revoked', async () => {
    const withCrl = (name: string) => secure(`sslmode=verify-ca ${CA} sslcrl=${fixture(name)}`);
    expect(await isEncrypted(open(withCrl('empty-crl.pem')))).toBe(true);
    const error = await refusalOf(open(withCrl('crl.pem')));
    expect(error.facts.code).toBe('tls_failed');
    expect(error.message).toContain('revoked');
    expect((await refusalOf(open(withCrl('missing.pem')))).exitCode).toBe(2);
  });

  it('is not trusted by the roots of the system', async () => {
    const error = await refusalOf(open(secure('sslrootcert=system')));
    expect(error.facts.code).toBe('tls_failed');
  });
});

describe("the client's certificate", () => {
  const asUser = (key: string, rest = '') =>
    secure(`sslmode=require sslcert=${fixture('client.crt')} sslkey=${key} ${rest}`, 'tls_user');

  it('logs a user in', async () => {
    const key = copyFixture('client.key', makeFolder());
    expect(await isEncrypted(open(asUser(key)))).toBe(true);
  });

  it('may have a key with a passphrase', async () => {
    const key = copyFixture('client-encrypted.key', makeFolder());
    expect(await isEncrypted(open(asUser(key, 'sslpassword=open-sesame')))).toBe(true);
    const error = await refusalOf(open(asUser(key, 'sslpassword=wrong-words')));
    expect(error.facts.code).toBe('tls_failed');
    expect(JSON.stringify(error.facts)).not.toContain('wrong-words');
  });

  it('is refused when others can read its key', async () => {
    const key = copyFixture('client.key', makeFolder(), { mode: 0o644 });
    const error = await refusalOf(open(asUser(key)));
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain(`${key} has group or world access`);
  });

  it('is refused without its key', async () => {
    const error = await refusalOf(open(asUser('/nonexistent/key')));
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain('no private key file /nonexistent/key');
  });

  it('is missed by the server when there is none', async () => {
    const error = await refusalOf(open(secure('sslmode=require', 'tls_user')));
    expect(error.facts).toMatchObject({ code: 'auth_failed', sqlstate: '28000' });
  });
});

it('starts TLS at once with sslnegotiation=direct, on a server that knows it', async () => {
  const versioned = await open(server.url);
  const { rows } = await versioned.run<{ num: number }>(
    "select current_setting('server_version_num')::int as num",
  );
  await versioned.close();
  const attempt = open(secure(`sslmode=require sslnegotiation=direct ${CA}`));
  if ((rows[0]?.num ?? 0) >= 170000) expect(await isEncrypted(attempt)).toBe(true);
  else expect((await refusalOf(attempt)).facts.code).toBe('tls_failed');
});
