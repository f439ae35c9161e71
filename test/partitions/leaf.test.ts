import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEverything, serverVersion } from '../support/everything.ts';
import { type TableFacts, tableFacts } from '../support/leaf-facts.ts';
import { created, ensure } from '../support/partitions.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let roles: readonly [TestRole, TestRole];
let version: number;
let ours: TableFacts;
let theirs: TableFacts;
beforeAll(async () => {
  database = await createDatabase();
  version = await serverVersion(database.sql);
  roles = [await createRole(database), await createRole(database)];
  await createEverything(database.sql, version, [roles[0].name, roles[1].name]);
  expect(await created(database, ['-t', 'thing', '--months', '0'])).toEqual(['thing_2026_03']);
  await database.sql.unsafe(`create table thing_by_hand partition of thing
    for values from ('2026-05-01+00') to ('2026-06-01+00')`);
  ours = await tableFacts(database.sql, 'thing_2026_03');
  theirs = await tableFacts(database.sql, 'thing_by_hand');
});
afterAll(async () => {
  await dropRoles(database.sql, roles);
  await database.drop();
});

describe('a leaf has all that PARTITION OF gives one', () => {
  it('constraints, by name, kind and inheritance', () => {
    expect(ours.constraints).toEqual(
      // PARTITION OF leaves a check NOT VALID as its parent has it; the rows of a new leaf cannot break it.
      theirs.constraints.map((c) =>
        c.name === 'late' ? { ...c, valid: true, definition: strip(c.definition) } : c,
      ),
    );
    expect(ours.constraints.length).toBeGreaterThan(6);
  });

  it('triggers, also those of foreign keys', () => {
    expect(ours.triggers).toEqual(theirs.triggers);
    expect(ours.triggers).toMatchObject([{ name: 'thing_stamp', cloned: true }]);
  });

  it('indexes, each attached to its parent', () => {
    const shape = ({ indexes }: TableFacts) =>
      indexes.map(({ parent, definition, unique, valid }) => ({
        parent,
        definition: String(definition).replace(/ WITH \(.*?\)/, ''),
        unique,
        valid,
      }));
    expect(shape(ours)).toEqual(shape(theirs));
    expect(ours.indexes.length).toBeGreaterThanOrEqual(9);
    expect(ours.indexes.every(({ parent }) => parent !== null)).toBe(true);
  });

  it('columns', () => {
    const shape = ({ columns }: TableFacts) =>
      columns.map(({ statistics: _, comment: __, acl: ___, ...rest }) => rest);
    expect(shape(ours)).toEqual(shape(theirs));
  });
});

const strip = (definition: unknown): string => String(definition).replace(' NOT VALID', '');
const column = (name: string) => ours.columns.find((one) => one.name === name);
const index = (parent: string) => ours.indexes.find((one) => one.parent === parent);

describe('a leaf also has', () => {
  it('statistics targets, 0 among them, and comments', () => {
    expect(column('label')).toMatchObject({ statistics: 321 });
    expect(column('device')).toMatchObject({ statistics: 0 });
    expect(column('id')).toMatchObject({ statistics: null });
    expect(column('body')).toMatchObject({ comment: 'a body', storage: 'e' });
    expect(column('document')).toMatchObject({ compression: 'p' });
    expect(ours.comment).toBe('It\'s "all" \\ there is');
    expect(index('thing_brin')).toMatchObject({ comment: 'a summary' });
  });

  it('the storage parameters of the newest leaf, of its TOAST table and of its indexes', () => {
    expect(ours.options).toEqual(['fillfactor=66', 'autovacuum_vacuum_scale_factor=0.01']);
    expect(ours.toastOptions).toEqual(['autovacuum_enabled=off']);
    expect(index('thing_brin')).toMatchObject({ options: ['pages_per_range=16', 'autosummarize=on'] });
    expect(index('thing_gin')).toMatchObject({ options: ['fastupdate=off'] });
    expect(index('thing_pkey')).toMatchObject({ options: ['fillfactor=80'] });
  });

  it('extended statistics', async () => {
    const parent = await tableFacts(database.sql, 'thing');
    expect(ours.statistics).toEqual(parent.statistics);
    expect(ours.statistics).toHaveLength(1);
  });

  it('the privileges of the parent, no more and no less', async () => {
    const parent = await tableFacts(database.sql, 'thing');
    expect(ours.acl).toEqual(parent.acl);
    expect(ours.columns.map(({ acl }) => acl)).toEqual(parent.columns.map(({ acl }) => acl));
    expect(JSON.stringify(ours.acl)).not.toContain('TRUNCATE');
    expect(column('label')?.acl).not.toBeNull();
  });

  it('row security with its policies', async () => {
    const parent = await tableFacts(database.sql, 'thing');
    expect(ours).toMatchObject({ rowSecurity: true, forced: true });
    const text = (facts: TableFacts) => JSON.stringify(facts.policies).replaceAll('thing.', '<leaf>.');
    expect(text(ours)).toEqual(text(parent));
    expect(ours.policies).toHaveLength(3);
  });

  it('the replica identity, by the index that corresponds', () => {
    expect(ours.replicaIdentity).toBe('i');
    expect(index('thing_identity')).toMatchObject({ replicaIdentity: true });
  });

  it('its place in the publications of its parent', async () => {
    const rows =
      await database.sql`select tablename from pg_publication_tables where pubname = 'everything' order by 1`;
    expect(rows.map(({ tablename }) => tablename)).toContain('thing_2026_03');
  });
});

it('a leaf takes rows through its parent and directly, and foreign keys lead to them', async () => {
  const { sql } = database;
  await sql.unsafe(`alter table thing no force row level security;
    alter table thing_2026_03 no force row level security;
    insert into thing (id, at) values (1, '2026-03-05+00');
    insert into thing_2026_03 (at) values ('2026-03-06+00');
    insert into reference values (1, 1, '2026-03-05+00')`);
  expect(await sql`select count(*)::int as n, min(twice) as twice from only thing_2026_03`).toMatchObject([
    { n: 2 },
  ]);
  await expect(sql.unsafe('delete from thing_2026_03 where id = 1')).rejects.toMatchObject({ code: '23503' });
  await expect(sql.unsafe("insert into thing_2026_03 (at) values ('2026-05-06+00')")).rejects.toMatchObject({
    code: '23514',
  });
});

it('a run after it finds nothing to do', async () => {
  expect(await ensure(database, ['-t', 'thing', '--months', '0'])).toMatchObject({
    exitCode: 0,
    changed: false,
  });
});
