import { usageError } from '../cli/errors.ts';

/** A table name as the user typed it, taken apart. */
export interface TableName {
  /** The schemas it can mean, spelled like the names; null: to be looked for in the search_path. */
  readonly schema: readonly string[] | null;
  /** The names it can mean, in the order of preference: folded as SQL does, then to the letter. */
  readonly spellings: readonly string[];
}

const PART = /"((?:[^"]|"")+)"|([^".]+)/y;

/**
 * Takes apart `table`, `schema.table`, `"Odd ""name"`: what is not quoted is folded to lower case, as in SQL.
 *
 * A shell eats quotes easily, so a name that SQL would fold is also tried to the letter, after the folded one.
 */
export function parseTableName(text: string): TableName {
  const parts: (readonly string[])[] = [];
  PART.lastIndex = 0;
  for (;;) {
    const match = PART.exec(text);
    if (match === null) throw unreadable(text);
    const quoted = match[1]?.replaceAll('""', '"');
    const plain = match[2] ?? '';
    parts.push(quoted === undefined ? [...new Set([foldCase(plain), plain])] : [quoted]);
    if (PART.lastIndex === text.length) break;
    if (text[PART.lastIndex] !== '.') throw unreadable(text);
    PART.lastIndex += 1;
  }
  const [first, second] = parts;
  if (first === undefined || parts.length > 2) throw unreadable(text);
  return second === undefined ? { schema: null, spellings: first } : { schema: first, spellings: second };
}

// PostgreSQL folds ASCII letters alone in a UTF-8 database.
function foldCase(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function unreadable(text: string): Error {
  return usageError('bad_table_name', `${JSON.stringify(text)} is not a table name.`, {
    object: text,
    hint: 'Spell it as in SQL: table, schema.table, or "Odd Name" with its double quotes.',
  });
}
