/** What a query that is looked at is prepared as. */
export const PREPARED = 'sensordb_inspect';

const COMMENTS = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/;
const CURSOR = /^\s*declare\s[^;]*?\scursor\s[^;]*?\bfor\s+/i;
const PREPARE = /^\s*prepare\s+(?:"[^"]*"|\w+)\s*(?:\([^)]*\)\s*)?as\s+/i;

/** Types whose literals are written with the type before them; of an interval the unit may follow. */
const TYPED =
  /(?<![\w."$])(interval|date|timestamptz|timestamp(?:\s+with(?:out)?\s+time\s+zone)?|timetz|time(?:\s+with(?:out)?\s+time\s+zone)?|smallint|integer|bigint|int[248]|real|float[48]|double\s+precision|numeric|decimal|text|varchar|boolean|bool|uuid|jsonb?)\s+(\$\d+)(?:\s+(?:year|month|day|hour|minute|second)s?\b(?:\s+to\s+(?:month|hour|minute|second)\b)?)?/gi;

/** The field of EXTRACT is a literal to PostgreSQL, and to its grammar a word. */
const EXTRACT = /\bextract\s*\(\s*(?:\$\d+|\w+)\s+from\b/gi;

/**
 * Makes of a statement as pg_stat_statements prints it (14 to 18) one that can be prepared: the query of a cursor or of PREPARE,
 * `interval $1`, once a literal, as a cast, `extract($1 from …)` with a field, and what is selected as it is grouped by.
 */
export function preparable(text: string): string {
  const query = text
    .replace(COMMENTS, '')
    .replace(CURSOR, '')
    .replace(PREPARE, '')
    .replaceAll(EXTRACT, 'extract(epoch from');
  return renumbered(asGrouped(query).replaceAll(TYPED, '($2::$1)'));
}

const MOST_ITEMS = 20;
const MOST_LITERALS = 50;
const LONGEST_ITEM = 2000;
const LITERAL = /'(?:[^']|'')*'|(?<![\w$.])\d+(?:\.\d+)?/g;

/** An expression of GROUP or ORDER BY that is one of SELECT, too, keeps its literals in print, while those of SELECT become parameters. */
function asGrouped(text: string): string {
  const items = [...text.matchAll(/\b(?:group|order)\s+by\b/gi)].flatMap(({ index, 0: found }) =>
    listFrom(text, index + found.length),
  );
  return items.slice(0, MOST_ITEMS).reduce((whole, item) => {
    const parts = item.split(LITERAL);
    // A number alone is a place in the list of SELECT; an expression of many literals is none that rows are put in buckets by.
    if (
      parts.length === 1 ||
      parts.length > MOST_LITERALS ||
      item.length > LONGEST_ITEM ||
      /^\d+$/.test(item)
    )
      return whole;
    const pattern = parts.map((part) => escaped(part).replaceAll(/\s+/g, '\\s+')).join('\\$\\d+');
    return whole.replaceAll(new RegExp(pattern, 'g'), () => item);
  }, text);
}

const AFTER_LIST = /^(?:having|window|union|except|intersect|order|limit|offset|fetch|for)\b/i;

/** Takes apart the list that begins there, at its commas that stand in no parentheses and no literal. */
function listFrom(text: string, start: number): readonly string[] {
  const items: string[] = [];
  let depth = 0;
  let from = start;
  for (const { index, 0: token } of text.slice(start).matchAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+|[(),;]/g)) {
    const at = start + index;
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    const isOver = depth < 0 || (depth === 0 && (token === ';' || AFTER_LIST.test(token)));
    if (isOver || (depth === 0 && token === ',')) {
      items.push(itemOf(text.slice(from, at)));
      from = at + token.length;
    }
    if (isOver) return items;
  }
  return [...items, itemOf(text.slice(from))];
}

/** Without how it is ordered. */
function itemOf(text: string): string {
  return text.trim().replace(/(?:\s{1,99}(?:asc|desc|nulls\s{1,99}(?:first|last)))+$/i, '');
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** PREPARE wants parameters without gaps between their numbers; what is quoted, and comments, are none. */
function renumbered(text: string): string {
  const order = new Map<string, number>();
  const token = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|(?<![\w$])\$(\d+)/g;
  return text.replaceAll(token, (all, number: string | undefined) => {
    if (number === undefined) return all;
    if (!order.has(number)) order.set(number, order.size + 1);
    return `$${order.get(number)}`;
  });
}
