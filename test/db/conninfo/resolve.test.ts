import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeConninfo } from '../../../src/db/conninfo/describe.ts';
import { makeFolder, resolve, writePrivate } from './support.ts';

describe('resolveConninfo', () => {
  it('takes --url before SENSORDB_DATABASE_URL before DATABASE_URL before the variables of libpq', () => {
    const env = {
      SENSORDB_DATABASE_URL: 'postgres://second/db',
      DATABASE_URL: 'postgres://third/db',
      PGHOST: 'fourth',
    };
    expect(resolve({ url: 'postgres://first/db', env }).endpoints[0].host).toBe('first');
    expect(resolve({ env }).endpoints[0].host).toBe('second');
    expect(resolve({ env: { ...env, SENSORDB_DATABASE_URL: '' } }).endpoints[0].host).toBe('third');
    expect(resolve({ env: { PGHOST: 'fourth' } }).endpoints[0].host).toBe('fourth');
  });

  it('fills in from the environment what the connection string leaves out', () => {
    const env = {
      DATABASE_URL: 'postgres://host/db?application_name=mine',
      PGHOST: 'other',
      PGPORT: '6000',
      PGUSER: 'someone',
      PGPASSWORD: 'from-env',
      PGAPPNAME: 'theirs',
      PGOPTIONS: '-c search_path=x',
      PGCONNECT_TIMEOUT: '7',
      PGTARGETSESSIONATTRS: 'primary',
      PGSSLMODE: 'require',
      PGGEQO: 'off',
    };
    const conninfo = resolve({ env });
    expect(conninfo).toMatchObject({
      user: 'someone',
      database: 'db',
      applicationName: 'mine',
      options: '-c search_path=x',
      connectTimeoutSeconds: 7,
      targetSessionAttrs: 'primary',
      geqo: 'off',
      tls: { mode: 'require' },
      passwordSource: 'PGPASSWORD',
    });
    expect(conninfo.endpoints[0]).toMatchObject({ host: 'host', port: 6000 });
    expect(conninfo.endpoints[0].password?.()).toBe('from-env');
  });

  it('has the defaults of psql: the user of the system, and a database of the same name', () => {
    const conninfo = resolve({ env: { PGHOST: 'h' } });
    expect(describeConninfo(conninfo)).toBe('me@h:5432/me');
    expect(conninfo).toMatchObject({ applicationName: 'sensordb', targetSessionAttrs: 'any', warnings: [] });
    expect(conninfo.tls).toMatchObject({ mode: 'prefer', minVersion: 'TLSv1.2', sni: true });
  });

  it('takes an empty host, port, user or database for none', () => {
    const env = { PGHOST: '', PGPORT: '', PGUSER: '', PGDATABASE: 'd' };
    expect(describeConninfo(resolve({ env }))).toBe('me@localhost:5432/d');
    // An empty value in the string hides that of the environment.
    const hidden = resolve({ url: 'host= dbname=x', env: { PGHOST: 'h' } });
    expect(hidden.endpoints[0].host).toBe('dbname=x');
  });

  it('connects to the default socket where there is one for the port, else to localhost', async () => {
    const folder = makeFolder();
    const server = createServer();
    await new Promise<void>((done) => server.listen(join(folder, '.s.PGSQL.6001'), done));
    const input = { env: { PGDATABASE: 'd' }, socketDirectories: ['/nonexistent', folder] };
    expect(resolve({ ...input, env: { PGPORT: '6001' } }).endpoints[0]).toMatchObject({
      host: folder,
      isSocket: true,
    });
    expect(resolve(input).endpoints[0]).toMatchObject({ host: 'localhost', isSocket: false });
    await new Promise((done) => server.close(done));
  });

  it.each([
    ['host=a,b,c port=1,,3', ['a:1', 'b:5432', 'c:3']],
    ['host=a,b port=7', ['a:7', 'b:7']],
    ['host=a,,c', ['a:5432', 'localhost:5432', 'c:5432']],
    ['postgres://h1:1,[::1]:2', ['h1:1', '[::1]:2']],
    ['hostaddr=127.0.0.1,::1', ['127.0.0.1:5432', '[::1]:5432']],
  ])('pairs hosts and ports: %s', (url, places) => {
    expect(describeConninfo(resolve({ url }))).toBe(`me@${places.join(',')}/me`);
  });

  it('dials hostaddr, and keeps host for the certificate and the password file', () => {
    expect(resolve({ url: 'host=db.test hostaddr=10.0.0.1' }).endpoints[0]).toMatchObject({
      host: 'db.test',
      hostaddr: '10.0.0.1',
    });
  });

  it.each([
    [{ url: 'postgres://h:99999/db' }, 'port', '--url'],
    [{ url: 'postgres://h:abc/db' }, 'port', '--url'],
    [{ url: 'host=h port=0' }, 'port "0"', '--url'],
    [{ env: { PGHOST: 'h', PGPORT: '5432x' } }, 'port "5432x"', 'PGPORT'],
    [{ url: 'host=a,b port=1,2,3' }, '3 ports for 2 hosts', '--url'],
    [{ url: 'host=a,b hostaddr=127.0.0.1' }, '1 addresses for 2 hosts', '--url'],
    [{ env: { PGHOSTADDR: 'localhost' } }, 'hostaddr "localhost"', 'PGHOSTADDR'],
    [{ url: 'host=h connect_timeout=abc' }, 'connect_timeout "abc"', '--url'],
    [{ env: { PGHOST: 'h', PGCONNECT_TIMEOUT: '1.5' } }, 'connect_timeout "1.5"', 'PGCONNECT_TIMEOUT'],
    [{ env: { DATABASE_URL: 'postgres://h/db?sslmode=foo' } }, 'sslmode "foo"', 'DATABASE_URL'],
    [{ env: { PGHOST: 'h', PGSSLMODE: '' } }, 'sslmode ""', 'PGSSLMODE'],
    [
      { env: { PGHOST: 'h', PGTARGETSESSIONATTRS: 'master' } },
      'target_session_attrs "master"',
      'PGTARGETSESSIONATTRS',
    ],
    [{ url: 'host=h load_balance_hosts=yes' }, 'load_balance_hosts "yes"', '--url'],
    [{ url: 'host=h sslrootcert=system sslmode=require' }, 'verify-full', '--url'],
    [{ url: 'host=h sslnegotiation=direct' }, 'sslnegotiation "direct"', '--url'],
    [{ url: 'host=h ssl_min_protocol_version=TLSv2' }, 'TLSv1.3', '--url'],
    [{ url: 'host=h ssl_max_protocol_version=TLSv1.1' }, 'TLSv1.2', '--url'],
    [{ env: { PGHOST: 'h', PGCHANNELBINDING: 'maybe' } }, 'channel_binding "maybe"', 'PGCHANNELBINDING'],
  ])('refuses %j, naming %s and its source', (input, named, source) => {
    const attempt = () => resolve(input);
    expect(attempt).toThrow(expect.objectContaining({ exitCode: 2 }));
    expect(attempt).toThrow(named);
    expect(attempt).toThrow(source);
  });

  it.each([
    [{ PGREQUIREAUTH: 'scram-sha-256' }, 'require_auth'],
    [{ PGREQUIREPEER: 'postgres' }, 'requirepeer'],
    [{ PGCHANNELBINDING: 'require' }, 'channel_binding'],
    [{ PGGSSENCMODE: 'require' }, 'gssencmode'],
    [{ PGSSLCERTMODE: 'require' }, 'sslcertmode'],
    [{ PGMINPROTOCOLVERSION: '3.2' }, 'min_protocol_version'],
    [{ DATABASE_URL: 'host=h replication=database' }, 'replication'],
    [{ DATABASE_URL: 'host=h oauth_issuer=https://example.org' }, 'oauth_issuer'],
  ])('refuses the demand %j, which it cannot honour', (env, keyword) => {
    expect(() => resolve({ env: { PGHOST: 'h', ...env } })).toThrow(
      expect.objectContaining({
        exitCode: 2,
        facts: expect.objectContaining({ code: 'unsupported_connection_setting', object: keyword }),
      }),
    );
  });

  it('goes on where such a setting demands nothing', () => {
    const env = {
      PGHOST: 'h',
      PGCHANNELBINDING: 'prefer',
      PGGSSENCMODE: 'disable',
      PGREQUIREAUTH: '',
      PGSSLSNI: '0',
    };
    expect(resolve({ env }).tls.sni).toBe(false);
  });

  it('warns of tuning that has no effect', () => {
    const { warnings, keepaliveSeconds } = resolve({ url: 'host=h keepalives_idle=30 keepalives_count=3' });
    expect(keepaliveSeconds).toBe(30);
    expect(warnings).toEqual([expect.stringContaining('keepalives_count in --url')]);
    expect(resolve({ url: 'host=h keepalives=0' }).keepaliveSeconds).toBeNull();
  });

  it.each([
    [{}],
    [{ PGPASSWORD: 'x', PGSSLMODE: 'require', PGSERVICEFILE: '/nowhere' }],
    [{ DATABASE_URL: '', PGHOST: '', PGSERVICE: '' }],
  ])('refuses to guess a server when %j names none', (env) => {
    const hint = expect.stringMatching(
      /--url.*SENSORDB_DATABASE_URL.*DATABASE_URL.*PGHOST.*PGSERVICE.*--embedded/,
    );
    expect(() => resolve({ env })).toThrow(
      expect.objectContaining({
        exitCode: 2,
        facts: expect.objectContaining({ code: 'no_connection_settings', hint }),
      }),
    );
  });

  it.each(['PGHOST', 'PGHOSTADDR', 'PGDATABASE', 'PGPORT', 'PGUSER'])('is content with %s alone', (name) => {
    const env = { [name]: name === 'PGPORT' ? '5432' : '127.0.0.1' };
    expect(resolve({ env }).endpoints).toHaveLength(1);
  });

  it('refuses an empty --url even where the environment names a server', () => {
    expect(() => resolve({ url: '', env: { PGHOST: 'h' } })).toThrow('--url');
  });

  it('honours the predecessor of PGSSLMODE', () => {
    expect(resolve({ env: { PGHOST: 'h', PGREQUIRESSL: '1' } }).tls.mode).toBe('require');
    expect(resolve({ env: { PGHOST: 'h', PGREQUIRESSL: '1', PGSSLMODE: 'disable' } }).tls.mode).toBe(
      'disable',
    );
  });

  it('finds the files of TLS in ~/.postgresql, and wants verify-full with the roots of the system', () => {
    expect(resolve({ url: 'host=h' }).tls).toMatchObject({
      rootCert: '/nonexistent/.postgresql/root.crt',
      cert: '/nonexistent/.postgresql/postgresql.crt',
      key: '/nonexistent/.postgresql/postgresql.key',
    });
    expect(resolve({ url: 'host=h sslrootcert=system' }).tls.mode).toBe('verify-full');
    expect(resolve({ url: 'host=h sslcertmode=disable' }).tls.cert).toBeNull();
  });
});

describe('the password file', () => {
  const passwordOf = (url: string, text: string, mode?: number) => {
    const passfile = writePrivate(join(makeFolder(), 'pgpass'), text, mode);
    return resolve({ url, env: { PGPASSFILE: passfile } });
  };

  it('gives each host the password of its own line', () => {
    const { endpoints, passwordSource } = passwordOf('host=a,b,c dbname=d', 'a:*:*:*:one\nb:5432:d:me:two\n');
    expect(endpoints.map((endpoint) => endpoint.password?.() ?? null)).toEqual(['one', 'two', null]);
    expect(passwordSource).toMatch(/pgpass$/);
  });

  it('serves the default sockets with the line for localhost, and others with that for their directory', () => {
    const text = 'localhost:*:*:*:default\n/srv/pg:*:*:*:other\n';
    expect(passwordOf('host=/var/run/postgresql', text).endpoints[0].password?.()).toBe('default');
    expect(passwordOf('host=/srv/pg', text).endpoints[0].password?.()).toBe('other');
  });

  it('is ~/.pgpass unless PGPASSFILE or passfile names another', () => {
    const home = makeFolder();
    writePrivate(join(home, '.pgpass'), '*:*:*:*:at-home\n');
    expect(resolve({ url: 'host=h', home }).endpoints[0].password?.()).toBe('at-home');
    const other = writePrivate(join(home, 'other'), '*:*:*:*:elsewhere\n');
    const url = `host=h passfile=${other}`;
    expect(resolve({ url, home }).endpoints[0].password?.()).toBe('elsewhere');
  });

  it.each([0o640, 0o604, 0o660])('is ignored with a warning when its mode is %o', (mode) => {
    const { endpoints, warnings } = passwordOf('host=h', '*:*:*:*:leaked\n', mode);
    expect(endpoints[0].password).toBeNull();
    expect(warnings).toEqual([expect.stringMatching(/pgpass has group or world access.*0600/)]);
  });

  it('is not even looked at when a password is given', () => {
    const { endpoints, warnings } = passwordOf('host=h password=given', '*:*:*:*:file\n', 0o644);
    expect(endpoints[0].password?.()).toBe('given');
    expect(warnings).toEqual([]);
  });

  it('is ignored with a warning when it is a folder', () => {
    expect(resolve({ url: `host=h passfile=${makeFolder()}` }).warnings).toEqual([
      expect.stringContaining('plain file'),
    ]);
  });
});
