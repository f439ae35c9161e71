import { afterAll, beforeAll, expect, it } from 'vitest';
import { createEverything, serverVersion } from '../support/everything.ts';
import { tableFacts } from '../support/leaf-facts.ts';
import { created } from '../support/partitions.ts';
import { comparable, drift, mended } from '../support/repair.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let roles: readonly [TestRole, TestRole];
beforeAll(async () => {
  database = await createDatabase();
  roles = [await createRole(database), await createRole(database)];
  await createEverything(database.sql, await serverVersion(database.sql), [roles[0].name, roles[1].name]);
  expect(await created(database, ['-t', 'thing', '--months', '0'])).toEqual(['thing_2026_03']);
});
afterAll(async () => {
  await dropRoles(database.sql, roles);
  await database.drop();
});

it('finds nothing on a leaf that ensure made', async () => {
  expect(await drift(database, ['-t', 'thing', 'thing_2026_03'])).toEqual([]);
});

it('makes a leaf that PARTITION OF made, and DEFAULT, what a leaf of ensure is', async () => {
  const before = await drift(database, ['-t', 'thing']);
  expect(await mended(database, ['-t', 'thing'])).toHaveLength(before.length);
  const model = comparable(await tableFacts(database.sql, 'thing_2026_03'));
  expect(comparable(await tableFacts(database.sql, 'thing_first'))).toEqual(model);
  // That autovacuum is off on the newest leaf's TOAST table is left to it.
  expect(comparable(await tableFacts(database.sql, 'thing_default'))).toEqual({
    ...model,
    toastOptions: [],
  });
});
