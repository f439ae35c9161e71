-- Makes the migration history and the run log. Lock: none, all is new. May run in a transaction.
create table sensordb.migration (
  schema_name text not null,
  version integer not null check (version > 0),
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp(),
  applied_by text not null default current_user,
  duration_ms integer not null,
  tool_version text not null,
  primary key (schema_name, version)
);

comment on table sensordb.migration is
  'Migrations that were applied, for each schema they were applied to; those of schema sensordb are the tool''s own.';

comment on column sensordb.migration.checksum is
  'SHA-256 of the file, without byte order mark and with line feeds for line ends.';

create table sensordb.run_log (
  id bigint generated always as identity primary key,
  command text not null,
  table_schema text,
  table_name text,
  arguments jsonb not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  exit_code integer,
  changed boolean,
  result jsonb,
  role_name text not null default current_user,
  client_host text,
  client_pid integer,
  backend_pid integer not null default pg_backend_pid(),
  tool_version text not null,
  check ((finished_at is null) = (exit_code is null))
);

comment on table sensordb.run_log is
  'A row for each run of a changing command; one without finished_at is running, or was killed.';
