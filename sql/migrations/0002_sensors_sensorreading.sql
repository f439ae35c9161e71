-- Creates the partitioned table of readings and its DEFAULT partition; the leaves are made by `partitions ensure`.
-- Strongest lock: SHARE ROW EXCLUSIVE on sensors_device, for the foreign key. Runs in a transaction.

-- bigserial and not identity: before PostgreSQL 17 a leaf takes no identity from its parent, so that an insert
-- into the leaf itself fails (23502), and from 17 on a table made LIKE the parent cannot be attached (55000).
create table :"schema".sensors_sensorreading (
  id bigserial,
  device_id bigint not null,
  timestamp timestamptz not null,
  value double precision not null,
  constraint sensors_sensorreading_pkey primary key (id, timestamp),
  -- No action on delete, and not deferrable: Django deletes the readings of a device before the device, and a
  -- deferred check would leave trigger events pending that make DDL in the same transaction fail (55006).
  constraint sensors_sensorreading_device_id_fkey
    foreign key (device_id) references :"schema".sensors_device (id)
) partition by range (timestamp);

-- What a leaf's BRIN index does not summarize is scanned whole; autosummarize has autovacuum do it as pages fill.
create index reading_timestamp_brin_idx on :"schema".sensors_sensorreading
  using brin (timestamp) with (autosummarize = on);
create index reading_device_timestamp_idx on :"schema".sensors_sensorreading (device_id, timestamp);

create table :"schema".sensors_sensorreading_default
  partition of :"schema".sensors_sensorreading default;

comment on table :"schema".sensors_sensorreading is 'Raw readings, partitioned by time; times are UTC instants.';
comment on column :"schema".sensors_sensorreading.id is
  'Unique by its sequence alone: the primary key of a partitioned table must hold the partition key.';
comment on table :"schema".sensors_sensorreading_default is
  'Catches readings that no other partition covers, so that a bad clock never fails a batch.';
