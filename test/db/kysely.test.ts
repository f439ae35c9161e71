import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createKysely } from '../../src/db/kysely.ts';
import type { OpenSql } from '../../src/db/open.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { open } from './open/support.ts';

interface Tables {
  readonly fruit: { readonly id: number; readonly name: string };
}

let database: TestDatabase;
let connection: OpenSql;

beforeAll(async () => {
  database = await createDatabase({ odd: true });
  connection = await open(database.url);
  await connection.run('create table fruit (id int primary key, name text not null)');
});

afterAll(async () => {
  await connection.close();
  await database.drop();
});

it('builds queries and sends them over the one connection', async () => {
  const db = createKysely<Tables>(connection.run);
  const inserted = await db
    .insertInto('fruit')
    .values([
      { id: 1, name: "o'range" },
      { id: 2, name: 'plum' },
    ])
    .executeTakeFirstOrThrow();
  expect(inserted.numInsertedOrUpdatedRows).toBe(2n);
  expect(await db.selectFrom('fruit').select('name').where('id', 'in', [1, 7]).execute()).toEqual([
    { name: "o'range" },
  ]);
  const updated = await db
    .updateTable('fruit')
    .set({ name: 'pear' })
    .where('id', '=', 2)
    .executeTakeFirstOrThrow();
  expect(updated.numUpdatedRows).toBe(1n);
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db);
  expect(rows).toEqual([{ pid: connection.backendPid }]);
});

it('is part of a transaction that was begun with run', async () => {
  const db = createKysely<Tables>(connection.run);
  await connection.run('begin');
  await db.insertInto('fruit').values({ id: 3, name: 'fig' }).execute();
  await connection.run('rollback');
  expect(await db.selectFrom('fruit').select('id').where('id', '=', 3).execute()).toEqual([]);
});
