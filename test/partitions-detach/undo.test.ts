import { randomBytes } from 'node:crypto';
import type { Sql } from 'postgres';
import { afterEach, expect, it } from 'vitest';
import { runOn } from '../support/detach.ts';
import { createEverything, serverVersion } from '../support/everything.ts';
import { allTables } from '../support/leaf-facts.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
afterEach(() => database.drop());

/** All that an undone detach must leave as it was. */
async function everything(sql: Sql) {
  const tables = await allTables(sql);
  const bounds =
    await sql`select c.oid::regclass::text as leaf, i.inhparent::regclass::text as parent, i.inhdetachpending
      , pg_get_expr(c.relpartbound, 0) as bound
    from pg_inherits i join pg_class c on c.oid = i.inhrelid order by 1`;
  const publications = await sql`select pubname, schemaname, tablename, to_jsonb(t) as facts
    from pg_publication_tables t order by 1, 2, 3`;
  const members = await sql`select p.pubname, r.prrelid::regclass::text from pg_publication_rel r
    join pg_publication p on p.oid = r.prpubid order by 1, 2`;
  const names =
    await sql`select case when c.relname !~ '_excl$' then c.oid end as oid, c.relname, c.relkind, c.relnamespace::regnamespace::text from pg_class c
    where c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema', 'sensordb', 'pg_toast') order by 2`;
  const triggers = await sql`select t.tgrelid::regclass::text as table, t.tgfoid::regproc::text as function,
      t.tgenabled, t.tgtype, t.tgconstrrelid::regclass::text as other, t.tgparentid <> 0 as cloned,
      t.tgdeferrable, t.tginitdeferred
    from pg_trigger t where t.tgrelid not in (select oid from pg_class where relnamespace = to_regnamespace('sensordb'))
    order by 1, 2, 3, 4, 5, 6`;
  return {
    tables,
    bounds: [...bounds],
    publications: [...publications],
    members: [...members],
    names: [...names],
    triggers: [...triggers],
  };
}

it.each([
  ['beside DEFAULT', true, []],
  ['concurrently', false, []],
  ['concurrently, into another schema', false, ['--into-schema', 'archive']],
  ['beside DEFAULT, into another schema', true, ['--into-schema', 'archive']],
])('attach undoes a detach of a leaf with everything: %s', async (_how, withDefault, more) => {
  database = await createDatabase();
  const { sql } = database;
  const version = await serverVersion(sql);
  const roles = [0, 1].map(() => `role_${randomBytes(6).toString('hex')}`) as [string, string];
  for (const role of roles) await sql.unsafe(`create role ${role}`);
  try {
    await createEverything(sql, version, roles);
    if (!withDefault)
      await sql.unsafe('alter table thing detach partition thing_default; drop table thing_default');
    await sql.unsafe(`create schema archive;
      create table thing_second partition of thing for values from ('2026-02-01+00') to ('2026-03-01+00');
      create publication own for table thing_first;
      insert into thing (id, at, place) values (1, '2026-01-10+00', '(1,1)'), (2, '2026-02-10+00', '(2,2)')`);
    if (version >= 150_000) {
      await sql.unsafe(
        `create publication part for table thing_first (id, at, device) where (device > 0) with (publish = insert)`,
      );
    }
    const before = await everything(sql);
    const out = await runOn(database, 'thing', 'detach', ['thing_first', ...more]);
    expect(out).toMatchObject({ exitCode: 0, changed: true, data: { detached: ['thing_first'] } });
    expect(await everything(sql)).not.toEqual(before);
    const back = await runOn(database, 'thing', 'attach', ['thing_first']);
    expect(back).toMatchObject({
      exitCode: 0,
      changed: true,
      data: { attached: ['thing_first'], conflicts: [] },
    });
    expect(await everything(sql)).toEqual(before);
    expect(await sql`select id from thing order by id`).toEqual([{ id: '1' }, { id: '2' }]);
  } finally {
    await sql.unsafe(roles.map((role) => `drop owned by ${role} cascade; drop role ${role}`).join(';'));
  }
});
