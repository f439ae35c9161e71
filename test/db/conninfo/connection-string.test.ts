import { describe, expect, it } from 'vitest';
import { parseConnectionString } from '../../../src/db/conninfo/connection-string.ts';

function parse(text: string): Record<string, string> {
  const settings = parseConnectionString(text, '--url');
  return Object.fromEntries([...settings].map(([keyword, setting]) => [keyword, setting.value]));
}

describe('a connection URI', () => {
  it.each([
    ['postgresql://', {}],
    ['postgres://', {}],
    ['postgresql://localhost', { host: 'localhost' }],
    ['postgresql://localhost:5433', { host: 'localhost', port: '5433' }],
    ['postgresql://localhost/mydb', { host: 'localhost', dbname: 'mydb' }],
    ['postgresql://user@localhost', { user: 'user', host: 'localhost' }],
    ['postgresql://user:secret@localhost', { user: 'user', password: 'secret', host: 'localhost' }],
    ['postgresql://:secret@localhost', { password: 'secret', host: 'localhost' }],
    ['postgresql://user:a:b?c#d@h/db', { user: 'user', password: 'a:b?c#d', host: 'h', dbname: 'db' }],
    ['postgresql://u%40corp:p%40%2F%3A%25@h', { user: 'u@corp', password: 'p@/:%', host: 'h' }],
    ['postgresql:///mydb?host=localhost&port=5433', { dbname: 'mydb', host: 'localhost', port: '5433' }],
    ['postgresql://%2Fvar%2Flib%2Fpg/db', { host: '/var/lib/pg', dbname: 'db' }],
    ['postgresql:///db?host=/tmp', { dbname: 'db', host: '/tmp' }],
    ['postgresql://[2001:db8::1]/db', { host: '2001:db8::1', dbname: 'db' }],
    ['postgresql://[::1]:5433', { host: '::1', port: '5433' }],
    ['postgresql://h1:1,h2:2/db', { host: 'h1,h2', port: '1,2', dbname: 'db' }],
    ['postgresql://h1,h2:2', { host: 'h1,h2', port: ',2' }],
    ['postgresql://u@[::1]:1,h2/db', { user: 'u', host: '::1,h2', port: '1,', dbname: 'db' }],
    [
      'postgresql://h?connect_timeout=10&application_name=a%20b',
      { host: 'h', connect_timeout: '10', application_name: 'a b' },
    ],
    ['postgresql://h/db?ssl=true', { host: 'h', dbname: 'db', sslmode: 'require' }],
    ['postgresql://h/?user=me@corp&password=p@ss', { host: 'h', user: 'me@corp', password: 'p@ss' }],
    ['postgresql://h/a%20b%22%27%2F?options=-c%20a%3Db', { host: 'h', dbname: 'a b"\'/', options: '-c a=b' }],
    ['postgresql://h/db?port=1&port=2', { host: 'h', dbname: 'db', port: '2' }],
    ['postgresql://h/Zähler?user=%C3%A4', { host: 'h', dbname: 'Zähler', user: 'ä' }],
  ])('%s is read as libpq reads it', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it.each([
    ['postgresql://h/db?sslmod=require', 'bad_connection_setting', '"sslmod"'],
    ['postgresql://h/db?ssl=1', 'bad_connection_setting', '"ssl"'],
    ['postgresql://h/db?sslmode', 'bad_connection_url', 'name=value'],
    ['postgresql://h/db?options=-ca=b', 'bad_connection_url', 'name=value'],
    ['postgresql://[::1/db', 'bad_connection_url', '"]"'],
    ['postgresql://[]/db', 'bad_connection_url', 'IPv6'],
    ['postgresql://[::1]x/db', 'bad_connection_url', 'IPv6'],
    ['postgresql://h/%zz', 'bad_connection_url', '"%"'],
    ['postgresql://h/a%00b', 'bad_connection_url', '"%"'],
    ['postgresql://h/%ff', 'bad_connection_url', 'UTF-8'],
    ['mysql://h/db', 'bad_connection_url', 'postgresql://'],
    ['', 'bad_connection_url', 'empty'],
    ['user@host/db', 'bad_connection_url', 'scheme'],
  ])('%s is refused as %s', (text, code, words) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        exitCode: 2,
        facts: expect.objectContaining({ code }),
        message: expect.stringContaining(words),
      }),
    );
    expect(() => parse(text)).toThrow('--url');
  });
});

describe('a string of keywords', () => {
  it.each([
    ['host=/tmp', { host: '/tmp' }],
    ["host=/tmp dbname='my db' user=x", { host: '/tmp', dbname: 'my db', user: 'x' }],
    ["  host = h\tport=1\n dbname = ''  ", { host: 'h', port: '1', dbname: '' }],
    ["password='it\\'s \\\\'", { password: "it's \\" }],
    ['password=a\\ b\\=c', { password: 'a b=c' }],
    ["password=it's", { password: "it's" }],
    ['host=a host=b', { host: 'b' }],
    ["options='-c a=b' user=u", { options: '-c a=b', user: 'u' }],
    ['user= dbname=d', { user: 'dbname=d' }],
    ['mydb', { dbname: 'mydb' }],
  ])('%s is read as libpq reads it', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it.each([
    ['host=h foo=bar', 'bad_connection_setting', '"foo"'],
    ['host=h foo', 'bad_connection_url', '"="'],
    ["host='h", 'bad_connection_url', 'closing quote'],
    ['=h', 'bad_connection_setting', 'no such connection setting'],
  ])('%s is refused as %s', (text, code, words) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        exitCode: 2,
        facts: expect.objectContaining({ code }),
        message: expect.stringContaining(words),
      }),
    );
  });
});
