import { afterAll, beforeAll, expect, it } from 'vitest';
import { serverVersion } from '../support/everything.ts';
import { tableFacts } from '../support/leaf-facts.ts';
import { runText } from '../support/partitions.ts';
import { comparable, drift, mended, repair } from '../support/repair.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let role: TestRole;
beforeAll(async () => {
  database = await createDatabase({ odd: true });
  role = await createRole(database);
});
afterAll(async () => {
  await dropRoles(database.sql, [role]);
  await database.drop();
});

const MONTH = "for values from ('2026-01-01Z') to ('2026-02-01Z')";
const NEXT = "for values from ('2026-02-01Z') to ('2026-03-01Z')";

it('mends the partitions of a leaf, and the leaf itself', async () => {
  const { sql } = database;
  await sql.unsafe(`create table deep (id int not null, at timestamptz not null, note text) partition by range (at);
    create table deep_1 partition of deep ${MONTH} partition by range (id);
    create table deep_1a partition of deep_1 for values from (0) to (10);
    create table deep_1b partition of deep_1 for values from (10) to (20) partition by range (id);
    create table deep_1b1 partition of deep_1b for values from (10) to (15);
    create table deep_2 partition of deep ${NEXT};
    create function deep_noted() returns trigger language plpgsql as 'begin return new; end';
    create trigger noted after insert on deep for each row execute function deep_noted();
    create index deep_note on only deep (note) where note <> 'x';
    create unique index deep_key_there on deep_1a (id, at);
    alter table only deep add constraint deep_key unique (id, at);
    alter table deep alter column note set statistics 7;
    alter table only deep_1 alter column note set statistics -1;
    alter table only deep_1 disable trigger noted;
    grant select on deep to public; alter table deep_1b owner to ${role.name}`);
  const TREE = ['deep_1', 'deep_1a', 'deep_1b', 'deep_1b1', 'deep_2'];
  const found = await mended(database, ['-t', 'deep']);
  expect(found.filter((line) => line.endsWith('index deep_note')).toSorted()).toEqual(
    TREE.map((leaf) => `${leaf}: index deep_note`).toSorted(),
  );
  expect(found.filter((line) => line.endsWith('index deep_key'))).toHaveLength(TREE.length);
  expect(found).toContain('deep_1: column note');
  expect(found).not.toContain('deep_1a: column note');
  const [invalid] = await sql`select count(*)::int as n from pg_index where not indisvalid`;
  expect(invalid).toEqual({ n: 0 });
  const facts = async (leaf: string) => {
    const { kind, accessMethod, ...rest } = comparable(await tableFacts(sql, leaf)) as Record<
      string,
      unknown
    >;
    const bare = JSON.stringify(rest).replaceAll(/"parent": ?"[^"]*"/g, '');
    return bare.replaceAll(/ON (ONLY )?public\.<leaf>/g, 'ON <leaf>');
  };
  const model = await facts('deep_2');
  for (const leaf of TREE) expect(await facts(leaf), leaf).toBe(model);
});

it('completes the indexes of a partitioned leaf of which some are there', async () => {
  const { sql } = database;
  await sql.unsafe(`create table half (id int not null, at timestamptz not null) partition by range (at);
    create table half_1 partition of half ${MONTH} partition by range (id);
    create table half_1a partition of half_1 for values from (0) to (10);
    create table half_1b partition of half_1 for values from (10) to (20);
    create index half_id on only half (id); create index half_1_id on only half_1 (id);
    create index half_1a_id on half_1a (id); alter index half_1_id attach partition half_1a_id`);
  expect(await mended(database, ['-t', 'half'])).toEqual(['half_1: index half_id', 'half_1b: index half_id']);
  await sql.unsafe(`create index half_at on only half (at); create index half_1_at on only half_1 (at);
    alter index half_at attach partition half_1_at`);
  expect(await mended(database, ['-t', 'half'])).toEqual([
    'half_1a: index half_at',
    'half_1b: index half_at',
  ]);
  await sql.unsafe(`create index half_both on only half (at, id); create index half_1_both on only half_1 (at, id);
    alter index half_both attach partition half_1_both; create index on half_1a (at, id)`);
  await sql`alter index half_1_both attach partition half_1a_at_id_idx`;
  await sql`drop table half_1b`;
  expect(await mended(database, ['-t', 'half'])).toEqual(['half_1: index half_both']);
});

it('looks at owner and privileges of a foreign table alone, and says why an index stays invalid', async () => {
  const { sql } = database;
  await sql.unsafe(`create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
    create table far (id int not null, at timestamptz not null) partition by range (at);
    create table far_1 partition of far ${MONTH};
    create foreign table far_2 partition of far ${NEXT} server nowhere;
    create index far_id on only far (id); alter table far alter column id set statistics 5;
    alter table only far_2 alter column id set statistics 6;
    grant select on far to public; alter foreign table far_2 owner to ${role.name}`);
  const result = await repair(database, ['-t', 'far']);
  expect(result).toMatchObject({ exitCode: 3, changed: true, error: null });
  expect(
    result.data.mended.map(({ name, kind }: { name: string; kind: string }) => `${name} ${kind}`),
  ).toEqual(['far_1 grants', 'far_1 indexes', 'far_2 owner', 'far_2 grants']);
  expect(result.data.refused).toMatchObject([{ name: 'far', kind: 'indexes', reason: 'foreign_leaf' }]);
  expect(await drift(database, ['-t', 'far'])).toEqual(['far: index far_id']);
});

it('copes with odd names, in several schemas', async () => {
  const { sql } = database;
  await sql.unsafe(`create schema "we.ird"; create schema "Other";
    create table "we.ird"."Re""adings" ("Id" int not null, "at " timestamptz not null, "se'lect" text)
      partition by range ("at ");
    create table "Other"."Le af" partition of "we.ird"."Re""adings" ${MONTH};
    create table "we.ird"."table" partition of "we.ird"."Re""adings" default;
    create index "In""dex" on only "we.ird"."Re""adings" (lower("se'lect"), "at ") where "Id" > 0;
    alter table only "we.ird"."Re""adings" add primary key ("Id", "at ");
    alter table "we.ird"."Re""adings" alter column "se'lect" set statistics 3;
    create function "Other"."Fn"() returns trigger language plpgsql as 'begin return new; end';
    create trigger "Tr.ig" before update on "we.ird"."Re""adings" for each row execute function "Other"."Fn"();
    alter table "Other"."Le af" disable trigger "Tr.ig", alter column "se'lect" set statistics 4;
    create policy "Pol icy" on "we.ird"."Re""adings" using ("se'lect" in ('a', 'b'));
    create policy "Pol "" 2" on "Other"."Le af" using (true);
    grant select ("se'lect") on "we.ird"."Re""adings" to public`);
  const words = ['-t', '"we.ird"."Re""adings"'];
  const found = await mended(database, words);
  expect(found).toContain('Le af: index In"dex');
  expect(found).toContain('table: index In"dex');
  expect(found).toContain('Le af: policy Pol " 2');
  expect(await drift(database, [...words, '"Other"."Le af"'])).toEqual([]);
});

it('refuses what cannot be mended, and says what to do', async () => {
  const { sql } = database;
  await sql.unsafe(`create table odd (id int not null, at timestamptz not null) partition by range (at);
    create table odd_1 partition of odd ${MONTH};
    create function odd_noted() returns trigger language plpgsql as 'begin return new; end';
    create trigger noted after insert on odd for each row execute function odd_noted();
    grant select on odd_1 to ${role.name} with grant option;
    set role ${role.name}; grant select on odd_1 to public; reset role`);
  // Nothing but damage to the catalog takes a cloned trigger away.
  await sql.unsafe(`set allow_system_table_mods = on;
    delete from pg_depend where objid in (select oid from pg_trigger where tgrelid = 'odd_1'::regclass);
    delete from pg_trigger where tgrelid = 'odd_1'::regclass; reset allow_system_table_mods`);
  const { data, exitCode, changed } = await repair(database, ['-t', 'odd']);
  expect([exitCode, changed]).toEqual([3, false]);
  expect(data.refused).toMatchObject([
    { name: 'odd_1', kind: 'triggers', reason: 'trigger_missing', hint: expect.stringContaining('Detach') },
    { name: 'odd_1', kind: 'grants', reason: 'granted_by_another', hint: expect.stringContaining(role.name) },
    { name: 'odd_1', kind: 'grants', reason: 'granted_by_another' },
  ]);
  const { stdout, exitCode: code } = await runText(database, ['partitions', 'repair', '-t', 'odd', '-n']);
  expect(code).toBe(3);
  expect(stdout).toContain('-- refused: public.odd_1 has no copy of the trigger noted of public.odd');
});

it('refuses an exclusion constraint that a leaf lacks', async () => {
  const { sql } = database;
  if ((await serverVersion(sql)) < 170_000) {
    // Partitioned tables can have none (new in 17).
    await expect(
      sql.unsafe(
        `create table apart (at timestamptz, exclude using btree (at with =)) partition by range (at)`,
      ),
    ).rejects.toMatchObject({ code: '0A000' });
    return;
  }
  await sql.unsafe(`create table apart (id int, at timestamptz not null) partition by range (at);
    create table apart_1 partition of apart ${MONTH};
    alter table only apart add constraint one exclude using btree (at with =)`);
  const { data, exitCode } = await repair(database, ['-t', 'apart']);
  expect(exitCode).toBe(3);
  expect(data.refused).toMatchObject([{ name: 'apart_1', reason: 'exclusion_constraint' }]);
});

it('passes over a leaf that is being detached', async () => {
  const { sql } = database;
  await sql.unsafe(`create table going (id int, at timestamptz not null) partition by range (at);
    create table going_1 partition of going ${MONTH}; create table going_2 partition of going ${NEXT};
    alter table only going alter column id set statistics 5`);
  const reader = database.connect();
  await reader.unsafe('begin; select from going');
  const detacher = database.connect();
  await detacher.unsafe("set statement_timeout = '100ms'");
  await expect(
    detacher.unsafe('alter table going detach partition going_1 concurrently'),
  ).rejects.toMatchObject({ code: '57014' });
  await reader`rollback`;
  expect(await mended(database, ['-t', 'going'])).toEqual(['going_2: column id']);
  expect(await repair(database, ['-t', 'going', 'going_1'])).toMatchObject({ exitCode: 2 });
});

it('shows a table on a terminal, and lines with tabs off it', async () => {
  const { sql } = database;
  await sql.unsafe(`create table shown (id int, at timestamptz not null) partition by range (at);
    create table shown_1 partition of shown ${MONTH}; alter table shown_1 replica identity full`);
  const words = ['partitions', 'repair', '-t', 'shown'];
  expect(
    (await runText(database, [...words, '--check'], { terminal: 100, env: { NO_COLOR: '1' } })).stdout,
  ).toMatchInlineSnapshot(`
    "public.shown  1 partition

    partition  what              found  expected
    shown_1    replica identity  full   primary key  drift
    "
  `);
  expect((await runText(database, words)).stdout).toMatchInlineSnapshot(`
    "mended	shown_1	replica_identity	replica identity	primary key	full
    "
  `);
  expect(
    (await runText(database, words, { terminal: 100, env: { NO_COLOR: '1' } })).stdout,
  ).toMatchInlineSnapshot(`
    "public.shown  1 partition, no drift
    "
  `);
  expect((await runText(database, words)).stdout).toBe('');
});
