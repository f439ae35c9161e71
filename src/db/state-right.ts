import { failure, type SensordbError } from '../cli/errors.ts';
import { quoteIdentifier } from './quote.ts';
import type { Session } from './session.ts';
import { isServerError, SQLSTATE } from './sqlstate.ts';

interface MissingRight {
  readonly owner: string;
  readonly usable: boolean;
  /** The tables of ours that the role may not read. */
  readonly unreadable: readonly string[];
}

// Outside of a transaction of ours the search_path is the role's own: every name is qualified.
const MISSING_RIGHT = `
  select pg_catalog.pg_get_userbyid(n.nspowner)::pg_catalog.text as owner,
         pg_catalog.has_schema_privilege(n.oid, 'usage') as usable,
         pg_catalog.array_to_json(array(
           select c.relname from pg_catalog.pg_class c
            where c.relnamespace operator(pg_catalog.=) n.oid and c.relkind operator(pg_catalog.=) 'r'
              and not pg_catalog.has_table_privilege(c.oid, 'select'))) as unreadable
    from pg_catalog.pg_namespace n
   where n.nspname operator(pg_catalog.=) 'sensordb'`;

/**
 * Explains a read that failed for want of a right on sensordb's own schema, with the remedy; null for any other failure.
 *
 * Asks the server, which must not be in a failed transaction: its message is in its own language, and may be of any table.
 */
export async function explainStateRight(session: Session, thrown: unknown): Promise<SensordbError | null> {
  if (!isServerError(thrown) || thrown.code !== SQLSTATE.insufficientPrivilege) return null;
  const { rows } = await session.run<MissingRight>(MISSING_RIGHT);
  const [missing] = rows;
  if (missing === undefined) return null;
  const { owner, usable, unreadable } = missing;
  const names = [...(usable ? [] : ['sensordb']), ...unreadable];
  // The last word of the message, in whatever language, is the object.
  if (!names.some((name) => new RegExp(`\\b${name}\\b`).test(thrown.message))) return null;
  const { user } = session.server;
  const role = quoteIdentifier(user);
  return failure(
    'insufficient_privilege',
    `Role ${user} has no right on schema sensordb: ${thrown.message}.`,
    {
      sqlstate: thrown.code,
      object: 'sensordb',
      hint: `It belongs to ${owner}: run this as that role, or as a member of it, or have it run GRANT USAGE ON SCHEMA sensordb TO ${role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sensordb TO ${role}.`,
      cause: thrown,
    },
  );
}
