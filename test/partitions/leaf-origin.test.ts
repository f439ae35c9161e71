import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { serverAccount } from '../../src/db/embedded/account.ts';
import { serverVersion } from '../support/everything.ts';
import { tableFacts } from '../support/leaf-facts.ts';
import { created, ensure } from '../support/partitions.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let owner: TestRole;
let member: TestRole;
let reader: TestRole;
const MARCH = ['-t', 'reading', '--months', '0'];

beforeAll(async () => {
  database = await createDatabase();
  [owner, member, reader] = [
    await createRole(database),
    await createRole(database),
    await createRole(database),
  ];
  await database.sql.unsafe(`grant ${owner.name} to ${member.name};
    grant create on database ${database.name} to ${owner.name};
    grant create on schema public to ${owner.name}, ${member.name}`);
});
afterEach(() => database.sql.unsafe('drop table if exists reading; drop schema if exists sensordb cascade'));
afterAll(async () => {
  await dropRoles(database.sql, [member, owner, reader]);
  await database.drop();
});

async function makeTable(more = ''): Promise<void> {
  await database.sql.unsafe(`create table reading (id int not null, at timestamptz not null, note text) partition by range (at);
    alter table reading owner to ${owner.name}; ${more}`);
}

describe('whoever makes a leaf', () => {
  it.each(['superuser', 'owner', 'member'])(
    '%s: the owner of the table owns it, and nobody has rights left',
    async (who) => {
      await makeTable(`grant select on reading to ${reader.name}`);
      const urls: Record<string, string> = { superuser: database.url, owner: owner.url, member: member.url };
      expect(await created({ url: urls[who] as string }, MARCH)).toEqual(['reading_2026_03']);
      const [leaf, parent] = [
        await tableFacts(database.sql, 'reading_2026_03'),
        await tableFacts(database.sql, 'reading'),
      ];
      expect(leaf).toMatchObject({ owner: owner.name, acl: parent.acl });
    },
  );

  it.each([
    ['in the schema', 'in schema public'],
    ['everywhere', ''],
  ])('default privileges %s give nobody more than the table does', async (_, where) => {
    await makeTable(`grant insert on reading to ${reader.name}`);
    const { sql } = database;
    const defaults = `alter default privileges for role ${member.name} ${where}`;
    await sql.unsafe(`${defaults} grant all on tables to public, ${reader.name} `);
    await created({ url: member.url }, MARCH);
    await sql.unsafe(`${defaults} revoke all on tables from public, ${reader.name}`);
    const [leaf, parent] = [await tableFacts(sql, 'reading_2026_03'), await tableFacts(sql, 'reading')];
    expect(leaf.acl).toEqual(parent.acl);
    expect(JSON.stringify(leaf.acl)).not.toContain('SELECT:false,-');
  });

  it('default privileges that take from the owner himself are made good', async () => {
    await makeTable();
    const defaults = `alter default privileges for role ${owner.name}`;
    await database.sql.unsafe(`${defaults} revoke all on tables from ${owner.name}`);
    await created({ url: owner.url }, MARCH);
    await database.sql.unsafe(`${defaults} grant all on tables to ${owner.name}`);
    const [leaf, parent] = [
      await tableFacts(database.sql, 'reading_2026_03'),
      await tableFacts(database.sql, 'reading'),
    ];
    expect(leaf.acl).toEqual(parent.acl);
  });
});

describe('replica identity', () => {
  it.each([
    ['full', 'f'],
    ['nothing', 'n'],
    ['default', 'd'],
  ])('%s is taken over', async (identity, letter) => {
    await makeTable(`alter table reading replica identity ${identity}`);
    await created(database, MARCH);
    expect(await tableFacts(database.sql, 'reading_2026_03')).toMatchObject({ replicaIdentity: letter });
  });
});

describe('storage', () => {
  it('a table whose newest leaf is unlogged gets an unlogged one', async () => {
    await makeTable(
      `create unlogged table t_feb partition of reading for values from ('2026-02-01+00') to ('2026-03-01+00')`,
    );
    await created(database, MARCH);
    expect(await tableFacts(database.sql, 'reading_2026_03')).toMatchObject({ persistence: 'u' });
  });

  it('the access method is that of the table, or of its newest leaf where a partitioned table has none', async () => {
    const { sql } = database;
    await sql.unsafe('create access method heap_too type table handler heap_tableam_handler');
    const onParent =
      (await serverVersion(sql)) >= 170_000 ? 'alter table reading set access method heap_too;' : '';
    await makeTable(`${onParent} create table t_feb partition of reading
      for values from ('2026-02-01+00') to ('2026-03-01+00') using heap_too`);
    await created(database, MARCH);
    expect(await tableFacts(sql, 'reading_2026_03')).toMatchObject({ accessMethod: 'heap_too' });
    await sql.unsafe('drop table reading; drop access method heap_too');
  });

  it('the access method is heap when the table is, whatever the database would choose', async () => {
    const { sql, name } = database;
    await sql.unsafe(`create access method heap_too type table handler heap_tableam_handler;
      alter database ${name} set default_table_access_method to heap_too`);
    await makeTable(`create table t_feb partition of reading
      for values from ('2026-02-01+00') to ('2026-03-01+00') using heap`);
    await created(database, MARCH);
    expect(await tableFacts(sql, 'reading_2026_03')).toMatchObject({ accessMethod: 'heap' });
    await sql.unsafe(`alter database ${name} reset all; drop table reading; drop schema if exists sensordb cascade;
      drop access method heap_too`);
  });

  it('tablespaces of the table and of its indexes are kept apart, and the role’s own choice counts for the rest', async () => {
    const { sql, name } = database;
    const account = await serverAccount();
    const spaces = [`${name}_a`, `${name}_b`, `${name}_c`];
    const folders: string[] = [];
    for (const space of spaces) {
      const folder = await mkdtemp(join(tmpdir(), 'sensordb-space-'));
      if (account !== null) await chown(folder, account.uid, account.gid);
      folders.push(folder);
      await sql.unsafe(`create tablespace ${space} location '${folder}'`);
    }
    const [a, b, c] = spaces;
    await sql.unsafe(`alter database ${name} set default_tablespace to ${c}`);
    await makeTable(`alter table reading set tablespace ${a}; create index t_id on reading (id) tablespace ${b};
      create index t_note on reading (note);
      alter table reading add primary key (id, at) using index tablespace ${a}`);
    await created(database, MARCH);
    await sql.unsafe(
      `create table t_by_hand partition of reading for values from ('2027-01-01+00') to ('2027-02-01+00')`,
    );
    const { indexes, tablespace } = await tableFacts(sql, 'reading_2026_03');
    expect(tablespace).toBe(a);
    const places = indexes.map(({ parent, tablespace: place }) => [parent, place]);
    expect(places).toEqual([
      ['reading_pkey', a],
      ['t_id', b],
      ['t_note', c],
    ]);
    await sql.unsafe(`alter database ${name} reset all`);
    await sql.unsafe('drop table reading; drop schema if exists sensordb cascade');
    for (const space of spaces) await sql.unsafe(`drop tablespace ${space}`);
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  });
});

it('a policy with a subquery over a schema and columns of the table’s own name is taken over', async () => {
  await makeTable(`create schema reading; create table reading.id (id int, t int); create table reading.note (id int);
    create policy p on public.reading using (exists (select from reading.id i where i.id = public.reading.id and i.t < 3)
      and note <> 'reading.id' and exists (
        select from reading.note n where n.id = public.reading.id));
    alter table reading enable row level security`);
  const result = await ensure(database, MARCH);
  expect(result).toMatchObject({ exitCode: 0, data: { created: ['reading_2026_03'] } });
  const expressions = await database.sql<{ text: string }[]>`
    select replace(pg_get_expr(polqual, polrelid), c.relname || '.id)', '~.id)') as text
      from pg_policy p join pg_class c on c.oid = p.polrelid`;
  expect(expressions).toHaveLength(2);
  expect(expressions[0]).toEqual(expressions[1]);
  await database.sql.unsafe('drop table reading; drop schema reading cascade');
});
