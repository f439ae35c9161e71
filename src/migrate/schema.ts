import { sql } from 'kysely';
import { usageError } from '../cli/errors.ts';
import type { Session } from '../db/session.ts';
import { STATE_SCHEMA } from './history.ts';

/** Finds the schema of the application's tables: the one named, or the first of the role's search_path. */
export async function readTargetSchema(session: Session, named: string | undefined): Promise<string> {
  const schema = named ?? session.server.searchPath[0];
  if (schema === undefined) {
    throw usageError('no_schema', `No schema of the search_path of ${session.server.user} exists.`, {
      hint: 'Name one: --schema public.',
    });
  }
  if (schema === STATE_SCHEMA || schema.startsWith('pg_') || schema === 'information_schema') {
    throw usageError('bad_schema', `The application's tables cannot be made in schema ${schema}.`, {
      object: schema,
      hint: 'Name a schema of your own: --schema public.',
    });
  }
  const { rows } = await sql<{ found: boolean }>`
    select true as found from pg_namespace n where n.nspname = ${schema}`.execute(session.db);
  if (rows.length > 0) return schema;
  throw usageError('unknown_schema', `There is no schema ${schema} in database ${session.server.database}.`, {
    object: schema,
    hint: `Create it (CREATE SCHEMA "${schema.replaceAll('"', '""')}"), or name another with --schema.`,
  });
}
