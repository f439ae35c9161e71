import { failure, type SensordbError } from '../cli/errors.ts';
import { type Token, tokenize } from './lexer.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';

/** The values of a template's placeholders, unquoted, by name. */
export type TemplateValues = Readonly<Record<string, string>>;

/** Where a template comes from, for messages about it. */
export interface TemplateSource {
  readonly file: string;
}

/**
 * Fills in the placeholders of an SQL file: `:"name"` by an identifier, `:'name'` by a literal.
 *
 * They are psql's own, so that `psql -v name=value -f file` does the same, and as in psql nothing is replaced
 * in comments and quotes. A name that has no value, and a value that no placeholder uses, are failures:
 *
 *     fillTemplate('drop table :"schema".:"table"', { schema: 'public', table: 'order' }, { file })
 *     // drop table public."order"
 */
export function fillTemplate(text: string, values: TemplateValues, source: TemplateSource): string {
  const used = new Set<string>();
  let filled = '';
  for (const token of tokenize(text)) {
    const spelling = text.slice(token.start, token.end);
    if (token.kind === 'unterminated') throw broken(source, `leaves a ${token.what} open`);
    if (!isPlaceholder(token)) {
      filled += spelling;
      continue;
    }
    const name = spelling.slice(2, -1);
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) throw broken(source, `uses ${spelling}, for which there is no value`);
    used.add(name);
    filled += spaced(
      filled,
      token.kind === 'literal_placeholder' ? quoteLiteral(value) : quoteIdentifier(value),
    );
    if (JOINS_LEFT.test(text.charAt(token.end))) filled += ' ';
  }
  refuseUnused(values, used, source);
  return filled;
}

// What a quoted value would merge with, such as the word before it: `select:'x'`, `:"a":"b"`.
const JOINS_LEFT = /[\w$'"\u0080-\uffff]/;
const JOINS_RIGHT = /[\w$'"&\u0080-\uffff]$/;

function spaced(before: string, value: string): string {
  return JOINS_RIGHT.test(before) ? ` ${value}` : value;
}

function isPlaceholder(token: Token): boolean {
  return token.kind === 'identifier_placeholder' || token.kind === 'literal_placeholder';
}

function refuseUnused(values: TemplateValues, used: ReadonlySet<string>, source: TemplateSource): void {
  const unused = Object.keys(values).filter((name) => !used.has(name));
  if (unused.length > 0) throw broken(source, `has no placeholder for ${unused.join(', ')}`);
}

function broken(source: TemplateSource, what: string): SensordbError {
  return failure('template', `The SQL file ${source.file} ${what}.`, {
    object: source.file,
    hint: 'This is a defect of sensordb, or a damaged installation: install it again, or report it.',
  });
}
