import { expect, it } from 'vitest';
import { findPassword } from '../../../src/db/conninfo/password-file.ts';

const QUERY = { host: 'h', port: 5432, database: 'd', user: 'u' };

it.each([
  ['h:5432:d:u:secret', 'secret'],
  ['*:*:*:*:any', 'any'],
  ['h:*:d:*:some', 'some'],
  ['other:5432:d:u:no', null],
  ['h:5433:d:u:no', null],
  ['h:5432:d:u', null],
  ['h:5432:d:u:', null],
  ['# h:5432:d:u:comment', null],
  ['', null],
  ['h:5432:d:u:with\\:colon', 'with:colon'],
  ['h:5432:d:u:with\\\\', 'with\\'],
  ['h:5432:d:u:cut:here', 'cut'],
  ['h:5432:d:u: spaces kept ', ' spaces kept '],
  ['\\*:5432:d:u:escaped asterisk', null],
  ['h*:5432:d:u:no globbing', null],
])('matches %j as libpq does', (line, expected) => {
  expect(findPassword([line], QUERY)).toBe(expected);
});

it('takes the first line that matches', () => {
  expect(findPassword(['x:*:*:*:no', 'h:*:*:*:first', '*:*:*:*:second'], QUERY)).toBe('first');
});

it('matches names that hold colons and backslashes, written with a backslash before each', () => {
  const query = { host: '::1', port: 5432, database: 'a\\b', user: 'x:y' };
  expect(findPassword(['\\:\\:1:5432:a\\\\b:x\\:y:p\\\\\\:q'], query)).toBe('p\\:q');
});
