import { usageError } from '../cli/errors.ts';
import { KEYWORDS } from './keywords.ts';

// Lower-case ASCII only: PostgreSQL folds everything else, or lets it pass in some encodings and not in others.
const PLAIN_NAME = /^[a-z_][a-z0-9_]*$/;

/** Spells a name as an SQL identifier: quoted, unless it is plain lower case and no keyword of any version. */
export function quoteIdentifier(name: string): string {
  refuseNul(name);
  if (PLAIN_NAME.test(name) && !KEYWORDS.has(name)) return name;
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Spells a text as an SQL string literal, whatever `standard_conforming_strings` says.
 *
 * A text with a backslash becomes `E'…'`, as psql and quote_literal write it.
 */
export function quoteLiteral(text: string): string {
  refuseNul(text);
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

/** Spells a relation's name with its schema, each part quoted where it must be. */
export function qualifiedName(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

// The wire protocol ends a query at the first NUL: what follows would silently not be sent.
function refuseNul(text: string): void {
  if (text.includes('\0')) {
    throw usageError('nul_character', 'PostgreSQL can hold no NUL character in a name or a text.');
  }
}
