import { tokenize } from '../db/lexer.ts';
import { quoteIdentifier } from '../db/quote.ts';

/**
 * Renames the table in a policy's expression: `a.id = reading.device_id` becomes `a.id = reading_2026_01.device_id`.
 *
 * pg_get_expr writes the table's name before its columns once the expression holds a subquery, and gives no other alias
 * in it that name. A schema may have it: only what stands before a column of the table is taken for the table.
 */
export function renameReferences(
  expression: string,
  { table, columns }: { readonly table: string; readonly columns: readonly string[] },
  leaf: string,
): string {
  const words = [...tokenize(expression)].map(({ start, end }) => expression.slice(start, end));
  const known = new Set([...columns, '*']);
  const isReference = (at: number): boolean =>
    unquoted(words[at]) === table &&
    words[at - 1] !== '.' &&
    words[at - 1] !== '::' &&
    words[at + 1] === '.' &&
    known.has(unquoted(words[at + 2])) &&
    !['.', '('].includes(words[at + 3] ?? '') &&
    !/^(?:from|join)$/i.test(words[at - 2] ?? '');
  return words.map((word, at) => (isReference(at) ? quoteIdentifier(leaf) : word)).join('');
}

function unquoted(word = ''): string {
  return word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word;
}
