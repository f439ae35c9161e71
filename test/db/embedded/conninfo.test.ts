import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import {
  connectionString,
  embeddedConninfo,
  psqlCommand,
  quoteForShell,
} from '../../../src/db/embedded/conninfo.ts';

const FOLDERS = [
  '/run/pg',
  '/a b',
  `/it's`,
  '/a "b"',
  '/$(touch x) `y` $HOME',
  '/back\\slash\\',
  '/wow!!',
  '/one\ntwo',
  '/é=',
];

const loginAt = (host: string) => ({ host, port: 5432, user: 'postgres', database: 'sensordb' });

describe('the login of an embedded server', () => {
  test.each(FOLDERS)('keeps the folder %j whole, for sensordb as for libpq', (folder) => {
    const conninfo = embeddedConninfo(loginAt(folder));
    expect(conninfo.endpoints).toMatchObject([{ host: folder, port: 5432 }]);
    expect(conninfo).toMatchObject({ user: 'postgres', database: 'sensordb' });
  });

  test.each(FOLDERS)('comes out of a shell as it went in, for the folder %j', (folder) => {
    const text = connectionString(loginAt(folder));
    const script = `export PASTED=${quoteForShell(text)}\nprintf %s "$PASTED"`;
    expect(execFileSync('sh', ['-c', script], { encoding: 'utf8' })).toBe(text);
  });

  test.each([
    ['/run/pg', 'psql "host=/run/pg port=5432 user=postgres dbname=sensordb"'],
    ['/a b', `psql "host='/a b' port=5432 user=postgres dbname=sensordb"`],
    [`/it's`, `psql 'host='\\''/it\\'\\''s'\\'' port=5432 user=postgres dbname=sensordb'`],
    ['/$x', `psql 'host='\\''/$x'\\'' port=5432 user=postgres dbname=sensordb'`],
  ])('makes a psql command line of %s', (folder, line) => {
    expect(psqlCommand(loginAt(folder))).toBe(line);
  });
});
