import type { Generated, GeneratedAlways } from 'kysely';

/** The columns of `sensordb.migration`: the history of applied migrations. */
export interface MigrationTable {
  schema_name: string;
  version: number;
  name: string;
  checksum: string;
  applied_at: Generated<string>;
  applied_by: Generated<string>;
  duration_ms: number;
  tool_version: string;
}

/** The columns of `sensordb.run_log`: a row for each run of a changing command. */
export interface RunLogTable {
  id: GeneratedAlways<string>;
  command: string;
  table_schema: string | null;
  table_name: string | null;
  arguments: string;
  started_at: string;
  finished_at: string | null;
  exit_code: number | null;
  changed: boolean | null;
  result: string | null;
  role_name: Generated<string>;
  client_host: string | null;
  client_pid: number | null;
  backend_pid: Generated<number>;
  tool_version: string;
}
