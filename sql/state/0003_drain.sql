-- Makes the memory of rows on their way from DEFAULT into a leaf of their own. Lock: none, all is new. May run in a transaction.
create table sensordb.drain (
  id bigint generated always as identity primary key,
  parent_oid oid not null,
  default_oid oid not null,
  default_file oid not null,
  leaf_oid oid not null,
  leaf_name text not null,
  leaf_file oid not null,
  lower_bound timestamptz not null,
  upper_bound timestamptz not null,
  state text not null default 'copying' check (state in ('copying', 'indexed', 'done', 'given_up')),
  next_block bigint not null default 0,
  started_at timestamptz not null default clock_timestamp(),
  started_by text not null default session_user,
  ended_at timestamptz,
  check (lower_bound < upper_bound),
  check ((ended_at is null) = (state in ('copying', 'indexed')))
);

create unique index drain_current on sensordb.drain (leaf_oid) where state in ('copying', 'indexed');

create index drain_parent on sensordb.drain (parent_oid, lower_bound);

comment on table sensordb.drain is
  'Leaves that were made for rows of DEFAULT. One that is copying or indexed is a table of copies that is no partition yet: its run is at it, or was interrupted.';

comment on column sensordb.drain.leaf_oid is
  'What identifies it, with leaf_name: a table that has the name but not the OID is another.';

comment on column sensordb.drain.default_file is
  'The relfilenode of DEFAULT: a new one (VACUUM FULL, CLUSTER, TRUNCATE) makes what drain_row says of it worthless.';

comment on column sensordb.drain.next_block is
  'The first block of DEFAULT that is not copied yet.';

create table sensordb.drain_row (
  drain_id bigint not null,
  source tid not null,
  source_xmin xid not null,
  leaf tid not null
);

create index drain_row_drain on sensordb.drain_row (drain_id);

comment on table sensordb.drain_row is
  'Which row version of DEFAULT was copied to which place of the leaf that is being filled.';
