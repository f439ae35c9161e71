import { expect, it } from 'vitest';
import { parseTableName } from '../../src/db/table-name.ts';

it.each([
  ['t', null, ['t']],
  ['Reading', null, ['reading', 'Reading']],
  ['"Reading"', null, ['Reading']],
  ['App.Reading', ['app', 'App'], ['reading', 'Reading']],
  ['"a.b"."c""d"', ['a.b'], ['c"d']],
  ['a."B"', ['a'], ['B']],
  ['ŽLUŤ', null, ['ŽluŤ', 'ŽLUŤ']],
  [' odd name ', null, [' odd name ']],
])('reads %s', (text, schema, spellings) => {
  expect(parseTableName(text)).toEqual({ schema, spellings });
});

it.each(['', '.', 'a.', '.a', 'a..b', 'a.b.c', '"a', 'a"', '""', 'a"b"', '"a"b'])('refuses %j', (text) => {
  expect(() => parseTableName(text)).toThrow('is not a table name');
});
