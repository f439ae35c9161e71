import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../../src/db/quote.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const NAMES = [
  'plain', 'with_underscore', '_x', 'x1', '1x', 'a$b', 'Upper', 'é', 'naïve', 'a b', 'a-b', 'a.b',
  'a"b', "a'b", '"', 'a\\b', '😀', ' ', 'x\ny', 'sensors_sensorreading_2026_01',
]; // biome-ignore format: a list

describe('quoteIdentifier', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  it('agrees with quote_ident on names that are no keywords', async () => {
    const rows = await database.sql`select quote_ident(name) as quoted from unnest(${NAMES}::text[]) as name`;
    expect(NAMES.map(quoteIdentifier)).toEqual(rows.map((row) => row.quoted));
  });

  it('quotes every keyword of the server', async () => {
    const rows = await database.sql<{ word: string }[]>`select word from pg_get_keywords()`;
    expect(rows.length).toBeGreaterThan(400);
    expect(rows.filter(({ word }) => quoteIdentifier(word) !== `"${word}"`)).toEqual([]);
  });

  it('quotes keywords of other versions too', () => {
    // recheck is gone since PostgreSQL 16; json_table came with 17, virtual with 18.
    expect(['recheck', 'json_table', 'virtual'].map(quoteIdentifier)).toEqual([
      '"recheck"',
      '"json_table"',
      '"virtual"',
    ]);
  });

  it('agrees with quote_literal', async () => {
    const texts = [...NAMES, '', "''", "\\'", 'a\\\\b'];
    const rows = await database.sql`select quote_literal(t) as quoted from unnest(${texts}::text[]) as t`;
    expect(texts.map(quoteLiteral)).toEqual(rows.map((row) => row.quoted));
  });
});

describe('qualifiedName', () => {
  it('quotes each part by itself', () => {
    expect(qualifiedName('we.ird', 'plain')).toBe('"we.ird".plain');
    expect(qualifiedName('public', 'order')).toBe('public."order"');
  });
});
