import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runJson, runText } from '../support/partitions.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
  await database.sql.unsafe(`create table t (id int, at timestamptz, note text, twice int generated always as (id * 2) stored) partition by range (at);
    create table t_default partition of t default;
    insert into t values (1, '1970-01-01+00'), (2, 'infinity'), (3, null)`);
});
afterEach(() => database.drop());

const quarantine = (name: string, words: readonly string[] = [], url = database.url) =>
  runJson({ url }, ['partitions', 'drain', '-t', 't', '--quarantine', name, ...words]);

const idsInDefault = async () =>
  (await database.sql<{ id: number }[]>`select id from only t_default order by 1`).map(({ id }) => id);

describe('a quarantine is a usage error, and every row stays', () => {
  it.each(['pg_temp.q', 'pg_toast.q', 'pg_catalog.q', 'information_schema.q', 'sensordb.q', '"PG_temp".q'])(
    'in %s',
    async (name) => {
      const result = await quarantine(name);
      expect(result).toMatchObject({ exitCode: 2, changed: false, error: { code: 'bad_schema' } });
      expect(result.error?.message).toContain(name.split('.')[0]?.replaceAll('"', ''));
      expect(await idsInDefault()).toEqual([1, 2, 3]);
    },
  );

  it('in a schema that is not there, and says how to make it', async () => {
    expect(await quarantine('nosuch.q')).toMatchObject({
      exitCode: 2,
      error: { code: 'unknown_schema', hint: expect.stringContaining('CREATE SCHEMA nosuch') },
    });
    await database.sql.unsafe('create schema nosuch');
    expect(await quarantine('nosuch.q')).toMatchObject({ exitCode: 0, data: { quarantined: { rows: 3 } } });
  });

  const BLANK = `create function blank() returns trigger language plpgsql as 'begin return null; end'`;

  it.each([
    ['is unlogged', 'alter table q set unlogged', 'SET LOGGED'],
    [
      'has a row trigger on INSERT',
      `${BLANK}; create trigger "Blank it" before insert on q for each row execute function blank()`,
      'DISABLE TRIGGER "Blank it"',
    ],
    [
      'has a rule',
      'create rule away as on insert to q where new.id = 1 do instead nothing',
      'DROP RULE away',
    ],
    ['lacks a column', 'alter table q drop column note', 'so that it has them'],
    ['has a column of another type', 'alter table q alter note type varchar(3)', 'so that it has them'],
    [
      'generates a column',
      'alter table q drop note, add note text generated always as (id::text) stored',
      'so that it has them',
    ],
  ])('that %s', async (_what, statement, remedy) => {
    await database.sql.unsafe(`create table q (like t); ${statement.replace('(id::text)', "('x')")}`);
    const result = await quarantine('q');
    expect(result).toMatchObject({ exitCode: 2, changed: false, error: { code: 'bad_quarantine' } });
    expect(result.error?.message).toContain('public.q');
    expect(result.error?.hint).toContain(remedy);
    expect(await idsInDefault()).toEqual([1, 2, 3]);
  });

  it('whose columns differ, even while no row is out of range', async () => {
    await database.sql.unsafe('delete from t; create table q (like t); alter table q drop column note');
    const result = await quarantine('q');
    expect(result).toMatchObject({ exitCode: 2, error: { code: 'bad_quarantine' } });
    expect(result.error?.message).toContain('note is missing');
  });

  it('that is a leaf, or was one and is detached', async () => {
    await database.sql.unsafe(`drop table t_default;
      create table leaf partition of t for values from ('2025-01-01Z') to ('2025-02-01Z')`);
    expect(await quarantine('leaf')).toMatchObject({ exitCode: 2, error: { code: 'bad_quarantine' } });
    const words = ['partitions', 'detach', '-t', 't', 'leaf', '--no-gate', '--yes'];
    expect(await runJson(database, words)).toMatchObject({ exitCode: 0, data: { detached: ['leaf'] } });
    const result = await quarantine('leaf');
    expect(result).toMatchObject({ exitCode: 2, error: { code: 'bad_quarantine' } });
    expect(result.error?.message).toContain('public.leaf belongs to public.t');
  });

  it('whose row security is in force for the role', async () => {
    const role = await createRole(database);
    try {
      await database.sql.unsafe(`create table q (like t); alter table q enable row level security;
        create policy mine on q using (true) with check (id <> 1);
        grant all on q to ${role.name}; grant all on schema public to ${role.name};
        grant create on database ${database.name} to ${role.name};
        alter table t owner to ${role.name}; alter table t_default owner to ${role.name}`);
      const result = await quarantine('q', [], role.url);
      expect(result).toMatchObject({ exitCode: 2, error: { code: 'bad_quarantine' } });
      expect(result.error?.message).toContain('Row security of public.q');
    } finally {
      await dropRoles(database.sql, [role]);
    }
  });
});

describe('a quarantine that loses rows all the same', () => {
  // What no look beforehand sees: a trigger that comes while the run is at it.
  const SABOTAGE = `create function sabotage() returns event_trigger language plpgsql as $$
    begin
      if exists (select from pg_event_trigger_ddl_commands() where object_identity = 'public.q') then
        create function public.blank() returns trigger language plpgsql as 'begin return null; end';
        create trigger blank before insert on public.q for each row when (new.id = 3) execute function public.blank();
      end if;
    end $$;
    create event trigger sabotage on ddl_command_end when tag in ('CREATE TABLE') execute function sabotage()`;

  it('rolls the batch back and fails', async () => {
    await database.sql.unsafe(SABOTAGE);
    const result = await quarantine('q');
    expect(result).toMatchObject({ exitCode: 1, error: { code: 'quarantine_incomplete' } });
    expect(result.error?.message).toBe('Of 3 rows only 2 arrived in public.q.');
    expect(await idsInDefault()).toEqual([1, 2, 3]);
    expect(await database.sql`select from q`).toHaveLength(0);
  });

  it('fails in the script of a dry run, too', async () => {
    const words = ['partitions', 'drain', '-t', 't', '-n', '--quarantine', 'q'];
    const { stdout } = await runText(database, words);
    await database.sql.unsafe(SABOTAGE);
    const psql = database.connect();
    // The commands of psql itself are not for the server.
    const script = stdout.replaceAll(/^\\.*$/gm, '');
    await expect(psql.unsafe(script)).rejects.toThrow('Of 3 rows only 2 arrived in public.q.');
    await psql.unsafe('rollback');
    expect(await idsInDefault()).toEqual([1, 2, 3]);
  });

  it('explains an error of the server', async () => {
    await database.sql.unsafe('create table q (like t); alter table q add check (id <> 3)');
    const result = await quarantine('q');
    expect(result).toMatchObject({ exitCode: 1, error: { code: 'sql_error', sqlstate: '23514' } });
    expect(result.error?.message).toContain('Move rows of public.t_default into public.q');
    expect(result.error?.message).not.toContain('Unexpected');
    expect(await idsInDefault()).toEqual([1, 2, 3]);
  });
});
