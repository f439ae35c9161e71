import { sql } from 'kysely';
import { failure } from '../cli/errors.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import type { AppliedMigration } from './plan.ts';

/** The schema of sensordb's own tables. */
export const STATE_SCHEMA = 'sensordb';

/** What there is of sensordb's own schema. */
export interface StateFacts {
  readonly schemaExists: boolean;
  readonly historyExists: boolean;
}

/** Looks whether sensordb's schema and its history are there, and readable; never writes. */
export async function readStateFacts(session: Session): Promise<StateFacts> {
  const { rows } = await sql<{ usable: boolean; owner: string; historyExists: boolean; readable: boolean }>`
    select has_schema_privilege(n.oid, 'usage') as usable,
           pg_get_userbyid(n.nspowner)::text as owner,
           c.oid is not null as "historyExists",
           coalesce(has_table_privilege(c.oid, 'select'), true) as readable
      from pg_namespace n
      left join pg_class c on c.relnamespace = n.oid and c.relname = 'migration'
     where n.nspname = ${STATE_SCHEMA}`.execute(session.db);
  const [row] = rows;
  if (row === undefined) return { schemaExists: false, historyExists: false };
  if (!row.usable || !row.readable) throw noRight(session, row.owner);
  return { schemaExists: true, historyExists: row.historyExists };
}

/** Makes the error for a role that may not use schema sensordb. */
function noRight(session: Session, owner: string): Error {
  const { user } = session.server;
  return failure('insufficient_privilege', `Role ${user} has no right on schema ${STATE_SCHEMA}.`, {
    sqlstate: SQLSTATE.insufficientPrivilege,
    object: STATE_SCHEMA,
    hint: `It belongs to ${owner}: connect as that role, or as a member of it.`,
  });
}

/** Reads the history of the migrations that were applied to a schema, oldest first. */
export async function readHistory(session: Session, schema: string): Promise<readonly AppliedMigration[]> {
  return await session.db
    .selectFrom('sensordb.migration')
    .select(['version', 'name', 'checksum', 'applied_by as appliedBy'])
    .select(sql<string>`to_char(applied_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`.as('appliedAt'))
    .where('schema_name', '=', schema)
    .orderBy('version')
    .execute();
}
