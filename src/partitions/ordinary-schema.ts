import { usageError } from '../cli/errors.ts';

/** PostgreSQL reserves the prefix: pg_catalog, pg_toast, and pg_temp, which is gone with the session. */
const RESERVED = /^pg_/i;

const TAKEN: readonly string[] = ['', 'information_schema', 'sensordb'];

/**
 * Throws a usage error for a schema that no table of a user's belongs in; one that is not named, or not there, may pass.
 *
 * `object` is the option that named it.
 */
export function requireFitSchema(schema: string | undefined, object: string): void {
  if (schema === undefined || (!RESERVED.test(schema) && !TAKEN.includes(schema))) return;
  const why = RESERVED.test(schema)
    ? "it is the system's own, or is gone with the session"
    : 'it is not for tables of yours';
  const message =
    schema === '' ? `${object} names no schema.` : `${object} cannot name schema ${schema}: ${why}.`;
  throw usageError('bad_schema', message, {
    object,
    hint: 'Name an ordinary schema; to make one: CREATE SCHEMA archive.',
  });
}
