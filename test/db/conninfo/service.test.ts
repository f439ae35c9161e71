import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeConninfo } from '../../../src/db/conninfo/describe.ts';
import { makeFolder, resolve, writePrivate } from './support.ts';

const FILE = `
# a comment
[other]
host=wrong
[main]
host=service-host
  port=6000
dbname=service-db
dbname=second is ignored
user=service-user
password=from = the # file
[later]
host=wrong
`;

function serviceFile(text = FILE): string {
  return writePrivate(join(makeFolder(), 'services'), text);
}

it('goes before the environment, and behind the connection string', () => {
  const env = { PGSERVICEFILE: serviceFile(), PGSERVICE: 'main', PGHOST: 'env-host', PGUSER: 'env-user' };
  const fromEnv = resolve({ env });
  expect(describeConninfo(fromEnv)).toBe('service-user@service-host:6000/service-db');
  expect(fromEnv.endpoints[0].password?.()).toBe('from = the # file');
  const explicit = resolve({ url: 'postgres://url-host/?user=url-user', env });
  expect(describeConninfo(explicit)).toBe('url-user@url-host:6000/service-db');
});

it('may be named in the connection string, with its file', () => {
  const url = `service=main servicefile=${serviceFile()}`;
  expect(describeConninfo(resolve({ url }))).toBe('service-user@service-host:6000/service-db');
});

it('is looked for in ~/.pg_service.conf and then in PGSYSCONFDIR', () => {
  const home = makeFolder();
  const system = makeFolder();
  writePrivate(join(home, '.pg_service.conf'), '[mine]\nhost=mine\n');
  writePrivate(join(system, 'pg_service.conf'), '[mine]\nhost=hidden\n[ours]\nhost=ours\n');
  const env = { PGSYSCONFDIR: system };
  expect(resolve({ home, env: { ...env, PGSERVICE: 'mine' } }).endpoints[0].host).toBe('mine');
  expect(resolve({ home, env: { ...env, PGSERVICE: 'ours' } }).endpoints[0].host).toBe('ours');
});

it.each([
  ['[main]\nhost h\n', /services, line 2/],
  ['[main]\nhost=h\nnonsense=1\n', /services, line 3/],
  ['[main]\nservice=other\n', /another one/],
  ['[main]\nldap://example.org/dc=x\n', /LDAP/],
  ['[mainly]\nhost=h\n', /"main" is defined in no service file/],
  ['[main]\nport=x\n', /port "x" in service "main" of .*services/],
])('refuses %j', (text, message) => {
  const attempt = () => resolve({ env: { PGSERVICE: 'main', PGSERVICEFILE: serviceFile(text) } });
  expect(attempt).toThrow(expect.objectContaining({ exitCode: 2 }));
  expect(attempt).toThrow(message);
});

it('refuses a service file that was named and does not exist', () => {
  expect(() => resolve({ env: { PGSERVICE: 'main', PGSERVICEFILE: '/nonexistent/file' } })).toThrow(
    '/nonexistent/file does not exist',
  );
});
