import type { Sql } from 'postgres';

/** Gives server_version_num, such as 180004. */
export async function serverVersion(sql: Sql): Promise<number> {
  const [row] = await sql<
    { version: number }[]
  >`select current_setting('server_version_num')::int as version`;
  return row?.version ?? 0;
}

/**
 * Makes a partitioned table `thing` with all that a leaf can take over, as far as the server knows it, and one leaf.
 *
 * `roles` are three roles: one that owns nothing here, one with rights, one that a policy names.
 */
export async function createEverything(
  sql: Sql,
  version: number,
  roles: readonly [string, string],
): Promise<void> {
  const [reader, writer] = roles;
  await sql.unsafe(`
    create extension if not exists btree_gist;
    create table device (id int primary key);
    create table area (id int not null, at timestamptz not null, primary key (id, at)) partition by range (at);
    create table area_all partition of area for values from (minvalue) to (maxvalue);
    create table acl (device int, label text);
    insert into device values (1);
    create sequence thing_ids;
    create table thing (
      gone text,
      id bigint default nextval('thing_ids'),
      at timestamptz constraint at_is_known not null,
      device int not null default 1 constraint thing_device references device on delete cascade deferrable initially deferred,
      area int, area_at timestamptz,
      label text collate "POSIX" default 'x' constraint label_is_short check (length(label) < 100),
      body text,
      document jsonb,
      place point,
      twice float8 generated always as (id * 2) stored,
      constraint span check (at > '2000-01-01+00'),
      primary key (id, at) include (label) with (fillfactor = 80),
      constraint thing_unique unique (device, at, id) deferrable initially deferred,
      foreign key (area, area_at) references area (id, at)
    ) partition by range (at);
    alter table thing drop column gone;
    alter table thing add constraint late check (device > 0) not valid;
    alter table thing alter column body set storage external;
    alter table thing alter column document set compression pglz;
    alter table thing alter column label set statistics 321;
    alter table thing alter column device set statistics 0;
    comment on table thing is 'It''s "all" \\ there is';
    comment on column thing.body is 'a body';
    comment on constraint span on thing is 'a span';
    create index thing_partial on thing (device desc nulls last) include (id) where label <> 'it''s';
    create index thing_expression on thing (lower(label) text_pattern_ops, (id % 7));
    create index thing_gin on thing using gin (document jsonb_path_ops) with (fastupdate = off);
    create index thing_hash on thing using hash (body);
    create index thing_brin on thing using brin (at) with (pages_per_range = 16);
    create index thing_gist on thing using gist (place);
    create unique index thing_identity on thing (at, device, id);
    comment on index thing_brin is 'a summary';
    create statistics thing_statistics (dependencies, ndistinct) on device, area from thing;
    create function stamp() returns trigger language plpgsql as 'begin return new; end';
    create trigger thing_stamp before insert on thing for each row when (new.id > 0) execute function stamp();
    create table reference (id int primary key, thing bigint, thing_at timestamptz,
      foreign key (thing, thing_at) references thing (id, at));
    create table thing_first partition of thing for values from ('2026-01-01+00') to ('2026-02-01+00')
      with (fillfactor = 66, autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = off);
    create table thing_default partition of thing default;
    grant select, insert on thing to ${writer} with grant option;
    grant select (id, at), update (label) on thing to ${reader};
    grant references (id) on thing to public;
    revoke truncate, trigger on thing from current_user;
    create policy own on thing for select to ${reader}, ${writer} using (device = 1);
    create policy narrow on thing as restrictive for all to public
      using (label <> 'secret') with check (label <> 'it''s a secret');
    create policy known on thing for update to ${writer} using (exists (
      select from acl where acl.device = thing.device and acl.label <> 'thing.device' and thing.label = acl.label));
    alter table thing enable row level security;
    alter table thing force row level security;
    alter table thing replica identity using index thing_identity;
    create publication everything for table thing with (publish_via_partition_root = false);`);
  const [brin] = await sql<{ name: string }[]>`
    select x.indexrelid::regclass::text as name
      from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am a on a.oid = i.relam
     where x.indrelid = 'thing_first'::regclass and a.amname = 'brin'`;
  await sql.unsafe(`alter index ${brin?.name} set (autosummarize = on)`);
  await newerFeatures(sql, version);
}

async function newerFeatures(sql: Sql, version: number): Promise<void> {
  if (version >= 150_000) {
    await sql.unsafe('alter table thing add constraint nulls unique nulls not distinct (area, at)');
  }
  if (version >= 170_000) {
    await sql.unsafe(`alter table thing add constraint apart exclude using gist (device with <>, at with =)`);
  }
  if (version >= 180_000) {
    await sql.unsafe(`alter table thing add column shadow int generated always as (device + 1) virtual;
      alter table thing add constraint lenient check (device < 5) not enforced`);
  }
}
