-- Makes the memory of what was detached, and the function that refuses. Lock: none, all is new. May run in a transaction.
create table sensordb.detached_leaf (
  id bigint generated always as identity primary key,
  parent_oid oid not null,
  parent_schema text not null,
  parent_name text not null,
  leaf_oid oid not null,
  leaf_schema text not null,
  leaf_name text not null,
  bound text not null,
  lower_bound timestamptz not null,
  upper_bound timestamptz not null,
  state text not null check (state in ('detaching', 'detached', 'attached', 'dropped')),
  target_schema text,
  check_name text,
  own_checks text[] not null default '{}',
  publications jsonb not null default '[]',
  detached_at timestamptz not null default clock_timestamp(),
  detached_by text not null default session_user,
  ended_at timestamptz,
  ended_by text,
  check (lower_bound < upper_bound),
  check ((ended_at is null) = (state in ('detaching', 'detached')))
);

create unique index detached_leaf_current on sensordb.detached_leaf (leaf_oid)
  where state in ('detaching', 'detached');

create index detached_leaf_parent on sensordb.detached_leaf (parent_oid, lower_bound);

comment on table sensordb.detached_leaf is
  'Leaves that were detached: where from, which bounds, when and by whom; and what became of them. A row in state detaching is of a run that was interrupted, or is at it.';

comment on column sensordb.detached_leaf.leaf_oid is
  'What identifies it, with leaf_name: a table that has the name but not the OID is another.';

comment on column sensordb.detached_leaf.bound is
  'As PostgreSQL prints it in UTC: FOR VALUES FROM … TO …';

comment on column sensordb.detached_leaf.lower_bound is
  'UTC, whatever the type of the key; -infinity for MINVALUE, infinity for MAXVALUE.';

comment on column sensordb.detached_leaf.target_schema is
  'Where the detach is to move it; null leaves it where it is.';

comment on column sensordb.detached_leaf.check_name is
  'The CHECK constraint on its bounds, which spares ATTACH the scan.';

comment on column sensordb.detached_leaf.own_checks is
  'The CHECK constraints that it had before, none of which is for an attach to drop.';

comment on column sensordb.detached_leaf.publications is
  'Publications that it was a member of by itself, with column list and row filter, and that it left.';

create function sensordb.refuse(reason text, message text, remedy text, object text) returns void
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
begin
  -- SDB06: ours; sensordb exits 6 on it.
  raise exception using errcode = 'SDB06', message = message, hint = remedy, constraint = reason, table = object;
end;
$$;

comment on function sensordb.refuse is
  'Ends the transaction with an error. A guard is a query that selects it for each reason to refuse.';
