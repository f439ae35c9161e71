import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allTables } from '../support/leaf-facts.ts';
import { SHAPES, type Shape } from '../support/life-shapes.ts';
import { NOW } from '../support/live.ts';
import { runJson } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

async function run({ table }: Shape, words: readonly string[]) {
  return await runJson(database, ['partitions', ...words, '--table', table], { now: NOW });
}

async function must(shape: Shape, words: readonly string[]) {
  const result = await run(shape, words);
  expect(result, words.join(' ')).toMatchObject({ exitCode: 0, error: null });
  return result.data;
}

/** Every row of the table, as text, in an order of its own. */
async function rows({ table }: Shape): Promise<readonly string[]> {
  const all = await database.sql.unsafe<{ row: string }[]>(
    `select t::text as row from ${table} t order by 1`,
  );
  return all.map(({ row }) => row);
}

const bare = (name: string): string => name.replace(/^"(.*)"$/, '$1').replaceAll('""', '"');

describe.each(SHAPES.map((shape) => [shape.title, shape] as const))('a table %s', (_title, shape) => {
  const { ddl, leaves, strays, refused = [] } = shape;
  const [one, two] = leaves;

  it('lives through ensure, detach, attach, repair, drain and drop', async () => {
    await database.sql.unsafe(ddl);
    await must(shape, ['ensure', '--months', '1']);
    await must(shape, ['repair']);
    const [before, rowsBefore] = [await allTables(database.sql), await rows(shape)];
    expect((await must(shape, ['repair', '--dry-run'])).steps).toEqual([]);

    // Detached, its rows are gone; attached, all is as it was.
    expect((await must(shape, ['detach', one])).detached).toEqual([bare(one)]);
    expect((await rows(shape)).length).toBeLessThan(rowsBefore.length);
    expect((await must(shape, ['attach', one])).attached).toEqual([bare(one)]);
    expect(await allTables(database.sql)).toEqual(before);
    expect(await rows(shape)).toEqual(rowsBefore);

    if (strays !== undefined) {
      await database.sql.unsafe(strays.insert);
      const strayed = await rows(shape);
      const related = await relatedRows();
      const drained = await must(shape, ['drain']);
      expect(drained.drained.map(({ name }: { name: string }) => name)).toEqual([strays.leaf]);
      expect(await rows(shape)).toEqual(strayed);
      expect(await relatedRows()).toEqual(related);
    }

    if (refused.includes('drop')) {
      const kept = await run(shape, ['drop', two, '--yes']);
      expect([kept.exitCode, kept.data.dropped]).toEqual([6, []]);
      expect(kept.data.refused).toMatchObject([{ name: bare(two), hint: expect.any(String) }]);
      await must(shape, ['detach', two]);
    }
    expect((await must(shape, ['drop', two, '--yes'])).dropped).toEqual([bare(two)]);
    await must(shape, ['detach', one]);
    expect((await must(shape, ['drop', one, '--yes'])).dropped).toEqual([bare(one)]);
    const listed = (await must(shape, ['list'])).partitions.map(({ name }: { name: string }) => name);
    expect(listed).not.toEqual(expect.arrayContaining([bare(one)]));
    expect(listed).not.toEqual(expect.arrayContaining([bare(two)]));
    expect((await must(shape, ['repair', '--dry-run'])).steps).toEqual([]);
  });
});

/** Rows of the table that a foreign key leads from, if there is one. */
async function relatedRows(): Promise<readonly unknown[]> {
  const [alarm] = await database.sql`select to_regclass('alarm') is not null as there`;
  return alarm?.there === true ? [...(await database.sql.unsafe('select * from alarm order by 1'))] : [];
}
