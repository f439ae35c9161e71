import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

describe('replica_identity', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    role = await createRole(database);
    await database.sql.unsafe(`
      create schema "Other";
      create table r (id bigint not null, "timestamp" timestamptz not null, primary key (id, "timestamp"))
        partition by range ("timestamp");
      create table r_1 partition of r for values from ('2026-01-01Z') to ('2026-02-01Z');
      create table "Other"."R 2" partition of r for values from ('2026-02-01Z') to ('2026-03-01Z') partition by hash (id);
      create table "Other"."R 2a" partition of "Other"."R 2" for values with (modulus 2, remainder 0);
      create table "Other"."R 2b" partition of "Other"."R 2" for values with (modulus 2, remainder 1);
      create table bare (id int not null, note text);
      create table whole (n int);
      alter table whole replica identity full;
      create unlogged table passing (n int);
      insert into r values (1, '2026-01-05Z'), (2, '2026-02-05Z'), (3, '2026-02-05Z')`);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  const look = async () => await inspectOnly(database, 'replica_identity');

  it('is quiet without a publication, with one of inserts, and where every identity will do', async () => {
    expect((await look()).passed).toEqual(['replica_identity']);
    await database.sql.unsafe(`
      create publication inserts for all tables with (publish = 'insert');
      create publication changes for table r, whole`);
    expect((await look()).passed).toEqual(['replica_identity']);
  });

  it('finds partitions that have none, at any depth, where the table is published', async () => {
    await database.sql.unsafe(`
      alter table r_1 replica identity nothing;
      alter table "Other"."R 2b" add constraint deferred unique (id, "timestamp") deferrable;
      alter table "Other"."R 2b" replica identity nothing`);
    await expect(database.sql`update r set id = 4 where id = 1`).rejects.toMatchObject({ code: '55000' });
    const { findings, exitCode } = await look();
    expect(exitCode).toBe(3);
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public.r',
        evidence: {
          publications: ['changes'],
          tables: ['"Other"."R 2b"', 'public.r_1'],
          tableCount: 2,
          identities: ['nothing'],
        },
      },
    ]);
    expect((await inspectOnly({ url: role.url }, 'replica_identity')).findings).toEqual(findings);
    await applyFixes(database, findings);
    expect((await look()).findings).toEqual([]);
    await database.sql`update r set id = id + 10`;
  });

  it('finds every table without a key in a publication of all tables, and chooses what will do', async () => {
    await database.sql.unsafe(`
      create publication everything for all tables;
      create unique index bare_note on bare (note);
      create table keyed (id int not null, n int);
      create unique index keyed_part on keyed (id) where n > 0;
      create unique index "keyed Id" on keyed (id)`);
    const { findings } = await look();
    expect(findings).toMatchObject([
      { object: 'public.bare', fix: ['alter table public.bare replica identity full'] },
      { object: 'public.keyed', fix: ['alter table public.keyed replica identity using index "keyed Id"'] },
    ]);
    expect((await inspect(database, ['--only', 'replica_identity', '--table', 'r'])).findings).toEqual([]);
    await applyFixes(database, findings);
    expect((await look()).findings).toEqual([]);
    await database.sql`drop index "keyed Id"`;
    const again = await look();
    expect(again.findings).toMatchObject([{ object: 'public.keyed', evidence: { identities: ['index'] } }]);
    await applyFixes(database, again.findings);
    expect((await look()).findings).toEqual([]);
    await database.sql`drop publication everything`;
  });

  it('finds the partitions of a table in a published schema', async () => {
    const [server] =
      await database.sql`select current_setting('server_version_num')::int4 >= 150000 as publishes`;
    await database.sql`drop publication changes`;
    // Before 15 there are none of schemas: there the partition is published by itself.
    await database.sql.unsafe(
      server?.publishes === true
        ? 'create publication other for tables in schema "Other"'
        : 'create publication other for table "Other"."R 2"',
    );
    await database.sql`alter table "Other"."R 2a" replica identity nothing`;
    await database.sql`alter table r_1 replica identity nothing`;
    const { findings } = await look();
    expect(findings).toMatchObject([{ object: 'public.r', evidence: { tables: ['"Other"."R 2a"'] } }]);
    await applyFixes(database, findings);
    expect((await look()).findings).toEqual([]);
  });
});
