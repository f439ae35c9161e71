/** What a piece of SQL text is; `unterminated` runs to the end of the text and says what it is in `what`. */
type TokenKind =
  | 'space'
  | 'comment'
  | 'string'
  | 'quoted_identifier'
  | 'word'
  | 'number'
  | 'identifier_placeholder'
  | 'literal_placeholder'
  | 'backslash'
  | 'symbol'
  | 'unterminated';

/** One token: `text.slice(start, end)` is its spelling, and tokens follow each other without a gap. */
export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
  /** For `unterminated` alone: the name of the construct that is still open. */
  readonly what?: string;
}

type Rule = (text: string, at: number) => Token | null;

// Identifier and white space characters are those of PostgreSQL's scan.l: every byte above 127 is a letter,
// and only ASCII white space is space.
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const NUMBER = /[0-9][\w.\u0080-\uffff]*/y;
const SPACE = /[ \t\n\r\f\v]+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
// `::` is a cast, also in `x::"char"`, and `:=` names an argument: neither opens a placeholder.
const COLONS = /::|:=/y;
const IDENTIFIER_PLACEHOLDER = /:"[\w\u0080-\uffff]+"/y;
const LITERAL_PLACEHOLDER = /:'[\w\u0080-\uffff]+'/y;
// Two literals with a newline between them are one, in the escape mode of the first (scan.l: quotecontinue).
const CONTINUATION = /[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y;

const RULES: readonly Rule[] = [
  pattern('space', SPACE),
  pattern('comment', LINE_COMMENT),
  blockComment,
  quoted,
  pattern('word', WORD),
  pattern('number', NUMBER),
  dollarQuoted,
  pattern('symbol', COLONS),
  pattern('identifier_placeholder', IDENTIFIER_PLACEHOLDER),
  pattern('literal_placeholder', LITERAL_PLACEHOLDER),
];

/**
 * Splits SQL into tokens as PostgreSQL and psql do, with `standard_conforming_strings` on.
 *
 * It never throws: what is left open at the end of the text is one `unterminated` token.
 */
export function* tokenize(text: string): Generator<Token> {
  let at = 0;
  while (at < text.length) {
    const token = nextToken(text, at);
    yield token;
    at = token.end;
  }
}

function nextToken(text: string, at: number): Token {
  for (const rule of RULES) {
    const token = rule(text, at);
    if (token !== null) return token;
  }
  return { kind: text[at] === '\\' ? 'backslash' : 'symbol', start: at, end: at + 1 };
}

function pattern(kind: TokenKind, regex: RegExp): Rule {
  return (text, at) => {
    const end = matchEnd(regex, text, at);
    return end === null ? null : { kind, start: at, end };
  };
}

function matchEnd(regex: RegExp, text: string, at: number): number | null {
  regex.lastIndex = at;
  return regex.test(text) ? regex.lastIndex : null;
}

function unterminated(text: string, start: number, what: string): Token {
  return { kind: 'unterminated', start, end: text.length, what };
}

// Block comments nest in PostgreSQL, as the SQL standard has it.
function blockComment(text: string, at: number): Token | null {
  if (!text.startsWith('/*', at)) return null;
  const edge = /\/\*|\*\//g;
  edge.lastIndex = at;
  let depth = 0;
  for (let match = edge.exec(text); match !== null; match = edge.exec(text)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return { kind: 'comment', start: at, end: edge.lastIndex };
  }
  return unterminated(text, at, 'comment');
}

const OPENING_QUOTE = /(?:[eEbBxXnN]|[uU]&)?'|(?:[uU]&)?"/y;

function quoted(text: string, at: number): Token | null {
  const open = matchEnd(OPENING_QUOTE, text, at);
  if (open === null) return null;
  if (text[open - 1] === '"') {
    const end = closingQuote(text, open, '"', false);
    return end === null
      ? unterminated(text, at, 'quoted identifier')
      : { kind: 'quoted_identifier', start: at, end };
  }
  const end = closingStringQuote(text, open, /[eE]/.test(text[at] ?? ''));
  return end === null ? unterminated(text, at, 'string') : { kind: 'string', start: at, end };
}

function closingStringQuote(text: string, open: number, escapes: boolean): number | null {
  let end = closingQuote(text, open, "'", escapes);
  while (end !== null) {
    const next = matchEnd(CONTINUATION, text, end);
    if (next === null) return end;
    end = closingQuote(text, next, "'", escapes);
  }
  return null;
}

function closingQuote(text: string, from: number, quote: string, escapes: boolean): number | null {
  for (let at = from; at < text.length; at++) {
    if (escapes && text[at] === '\\') at++;
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1;
      at++;
    }
  }
  return null;
}

function dollarQuoted(text: string, at: number): Token | null {
  const open = matchEnd(DOLLAR_TAG, text, at);
  if (open === null) return null;
  const tag = text.slice(at, open);
  const close = text.indexOf(tag, open);
  if (close === -1) return unterminated(text, at, `string ${tag}`);
  return { kind: 'string', start: at, end: close + tag.length };
}
