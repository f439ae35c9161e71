import { type SensordbError, usageError } from '../cli/errors.ts';

/** PostgreSQL reserves the prefix: pg_catalog, pg_toast, and pg_temp, which is gone with the session. */
const RESERVED = /^pg_/i;

const TAKEN: readonly string[] = ['', 'information_schema', 'sensordb'];

/**
 * Gives the usage error of a schema that no table of a user's belongs in; null for an ordinary one, there or not.
 *
 * `object` is the option that named it.
 */
export function unfitSchema(schema: string, object: string): SensordbError | null {
  if (!RESERVED.test(schema) && !TAKEN.includes(schema)) return null;
  const why = RESERVED.test(schema)
    ? "it is the system's own, or is gone with the session"
    : 'it is not for tables of yours';
  const message =
    schema === '' ? `${object} names no schema.` : `${object} cannot name schema ${schema}: ${why}.`;
  return usageError('bad_schema', message, {
    object,
    hint: 'Name an ordinary schema; to make one: CREATE SCHEMA archive.',
  });
}
