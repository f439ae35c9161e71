import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { allTables } from '../support/leaf-facts.ts';
import { startProxy } from '../support/proxy.ts';
import { createReadings, repair } from '../support/repair.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let template: TestDatabase;
let database: TestDatabase;
beforeAll(async () => {
  template = await createDatabase();
  await createReadings(template, 'pg_monitor');
  await template.sql.unsafe(`create table stranger (like readings_2026_02 including all);
    grant select on stranger to pg_monitor; grant insert on stranger to public`);
  await template.leave();
});
beforeEach(async () => {
  database = await createDatabase({ template: template.name });
});
afterEach(() => database.drop());
afterAll(() => template.drop());

const SWAP = 'alter table readings_2026_02 rename to kept; alter table stranger rename to readings_2026_02';

/** Runs it while somebody does something else right before the first statement that begins so. */
async function meanwhile(start: RegExp, happens: string) {
  let isDone = false;
  const proxy = await startProxy(database.url, {
    before: async ({ text }) => {
      if (isDone || !start.test(text)) return;
      isDone = true;
      await database.sql.unsafe(happens);
    },
  });
  const result = await repair(proxy);
  await proxy.close();
  expect(isDone).toBe(true);
  return result;
}

describe('a table that got the name of a leaf is left as it is', () => {
  it.each([
    ['REVOKE', 'grant insert on readings_2026_02 to public', /^revoke/i],
    ['GRANT', 'revoke select on readings_2026_02 from pg_monitor', /^grant/i],
    ['ALTER TABLE', 'alter table readings_2026_02 replica identity full', /^alter table/],
    ['the first statement', 'alter table readings_2026_02 replica identity full', /^select sensordb\.refuse/],
  ])('before %s', async (_what, drifts, start) => {
    await database.sql.unsafe(drifts);
    const before = await allTables(database.sql);
    const result = await meanwhile(start, SWAP);
    expect(result).toMatchObject({
      exitCode: 3,
      changed: false,
      data: { mended: [], refused: [{ name: 'readings_2026_02', reason: 'changed' }] },
    });
    const after = await allTables(database.sql);
    expect(after.readings_2026_02?.grants).toEqual(before.stranger?.grants);
    expect(after.readings_2026_02?.replicaIdentity).toEqual(before.stranger?.replicaIdentity);
    // Under its new name the leaf is mended by the next run.
    expect(await repair(database)).toMatchObject({ exitCode: 0, data: { mended: [{ name: 'kept' }] } });
  });

  it('before an index is built on it', async () => {
    await database.sql.unsafe('create index readings_value on only readings (value)');
    const result = await meanwhile(/^select sensordb\.refuse[\s\S]*readings_2026_02/, SWAP);
    expect(result).toMatchObject({
      exitCode: 3,
      data: { refused: [{ name: 'readings_2026_02', reason: 'changed' }] },
    });
    expect(await indexesOn('readings_2026_02', 'value')).toEqual([]);
    expect(await repair(database)).toMatchObject({ exitCode: 0, data: { mended: [{ name: 'kept' }] } });
  });

  it('or else the index on it is named', async () => {
    await database.sql.unsafe('create index readings_value on only readings (value)');
    const result = await meanwhile(/^create index concurrently readings_2026_02/, SWAP);
    const [name] = await indexesOn('readings_2026_02', 'value');
    expect(result).toMatchObject({
      exitCode: 3,
      data: { refused: [{ reason: 'changed_meanwhile', hint: expect.stringContaining(`public.${name}`) }] },
    });
    await database.sql.unsafe(`drop index ${name}`);
    expect(await repair(database)).toMatchObject({ exitCode: 0, data: { mended: [{ name: 'kept' }] } });
  });
});

async function indexesOn(table: string, column: string): Promise<readonly string[]> {
  const rows = await database.sql<{ name: string }[]>`
    select i.relname as name from pg_index x join pg_class i on i.oid = x.indexrelid
      join pg_attribute a on a.attrelid = x.indrelid and x.indkey[0] = a.attnum
     where x.indrelid = ${table}::regclass and a.attname = ${column}`;
  return rows.map(({ name }) => name);
}

describe('an index that got the name of a leaf’s is left as it is', () => {
  it('before ALTER INDEX', async () => {
    await database.sql.unsafe(`alter index readings_2026_03_at_idx set (autosummarize = on);
      alter index readings_2026_01_at_idx set (autosummarize = on);
      create index aside on stranger using brin (at)`);
    const result = await meanwhile(
      /^alter index public\.readings_2026_02_at_idx/,
      'alter index readings_2026_02_at_idx rename to kept; alter index aside rename to readings_2026_02_at_idx',
    );
    expect(result.data.refused).toMatchObject([{ name: 'readings_2026_02', reason: 'changed' }]);
    const [stranger] = await database.sql`
      select reloptions from pg_class where relname = 'readings_2026_02_at_idx'`;
    expect(stranger).toEqual({ reloptions: null });
    expect(await repair(database)).toMatchObject({
      exitCode: 0,
      data: { mended: [{ kind: 'index_options' }] },
    });
  });

  it.each([
    ['DROP', 'create index concurrently spoilt on readings_2026_02 (value)'],
    ['REINDEX', 'reindex index concurrently spoilt'],
  ])('before %s INDEX CONCURRENTLY', async (what, statement) => {
    if (what === 'REINDEX') {
      await database.sql.unsafe(`create index readings_value on only readings (value)`);
      await leaveInvalid('create index concurrently spoilt on readings_2026_02 (value)');
      await database.sql.unsafe('alter index readings_value attach partition spoilt');
    } else {
      await database.sql.unsafe('create index readings_value on readings (value)');
      await leaveInvalid(statement);
    }
    await database.sql.unsafe('create index aside on stranger (value)');
    const result = await meanwhile(
      /^select sensordb\.refuse[\s\S]*readings_2026_02/,
      'alter index spoilt rename to kept; alter index aside rename to spoilt',
    );
    expect(result.data.refused).toMatchObject([{ name: 'readings_2026_02', reason: 'changed_meanwhile' }]);
    expect(await indexesOn('stranger', 'value')).toEqual(['spoilt']);
    expect(await repair(database)).toMatchObject({ exitCode: 0, data: { mended: [{ kind: 'indexes' }] } });
  });
});

/** Has a statement that builds an index fail, since somebody writes to the leaf. */
async function leaveInvalid(statement: string): Promise<void> {
  const writer = database.connect();
  const builder = database.connect();
  await writer.unsafe(
    'begin; lock table readings_2026_02 in row exclusive mode; select pg_current_xact_id()',
  );
  await builder.unsafe("set statement_timeout = '100ms'");
  await expect(builder.unsafe(statement)).rejects.toMatchObject({ code: '57014' });
  await writer`rollback`;
}
