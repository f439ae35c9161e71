import { type SensordbError, usageError } from '../cli/errors.ts';
import { type Token, tokenize } from './lexer.ts';

/** One statement of an SQL file, without its semicolon. */
export interface Statement {
  /** The statement with the comments that stand before it. */
  readonly sql: string;
  /** Where `sql` starts in the normalised text. */
  readonly offset: number;
  /** The line, from 1, of the statement's first word, past the comments before it. */
  readonly line: number;
}

/** A place in a text; both count from 1, and columns are characters as PostgreSQL counts them. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * Takes the byte order mark off a file's text and makes its line ends `\n`.
 *
 * PostgreSQL rejects the mark (42601); a checksum must not depend on how git checked the file out.
 */
export function normalizeSql(text: string): string {
  return text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n');
}

/**
 * Splits an SQL file into its statements, each of which can be sent alone.
 *
 * Semicolons in quotes, comments, parentheses and `begin atomic` bodies do not end a statement.
 */
export function splitStatements(text: string, file = 'SQL text'): readonly Statement[] {
  const source = normalizeSql(text);
  const pieces: Piece[] = [];
  let state = startAt(0);
  for (const token of tokenize(source)) {
    refuse(source, token, file);
    if (endsStatement(source, token, state)) {
      pieces.push({ ...state, end: token.start });
      state = startAt(token.end);
    } else if (token.kind !== 'space' && token.kind !== 'comment') {
      state = advance(state, token, source);
    }
  }
  refuseOpen(source, state, file);
  return statementsOf(source, [...pieces, { ...state, end: source.length }]);
}

/**
 * Turns the `position` of a PostgreSQL error into line and column.
 *
 * PostgreSQL counts code points from 1 in the text it was sent; `offset` says where in `text`, in JavaScript's
 * own UTF-16 units, that part began.
 */
export function locate(text: string, position: number, offset = 0): Place {
  const before = Array.from(text.slice(offset))
    .slice(0, Math.max(position - 1, 0))
    .join('');
  const lines = text.slice(0, offset + before.length).split('\n');
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 };
}

/** What has been read of the statement at hand. */
interface State {
  readonly offset: number;
  /** Where the first token that is neither space nor comment starts. */
  readonly first: number | null;
  /** The first words, in lower case: enough to know a function or procedure by. */
  readonly head: readonly string[];
  readonly previous: string;
  readonly parens: readonly number[];
  /** In a `begin atomic` body: the starts of `begin` and of each `case` that has not met its `end`. */
  readonly blocks: readonly number[];
}

function startAt(offset: number): State {
  return { offset, first: null, head: [], previous: '', parens: [], blocks: [] };
}

function endsStatement(source: string, token: Token, state: State): boolean {
  return source[token.start] === ';' && state.parens.length === 0 && state.blocks.length === 0;
}

function advance(state: State, token: Token, source: string): State {
  const spelling = source.slice(token.start, token.end).toLowerCase();
  return {
    offset: state.offset,
    first: state.first ?? token.start,
    head: state.head.length < 4 ? [...state.head, spelling] : state.head,
    previous: token.kind === 'word' || token.kind === 'symbol' ? spelling : '',
    parens: nest(state.parens, token, spelling, '(', ')'),
    blocks: nestBlocks(state, token, spelling),
  };
}

function nest(
  open: readonly number[],
  token: Token,
  spelling: string,
  opening: string,
  closing: string,
): readonly number[] {
  if (spelling === opening) return [...open, token.start];
  return spelling === closing ? open.slice(0, -1) : open;
}

const ROUTINE = /^create (?:or replace )?(?:function|procedure)\b/;

// The SQL-standard body of a function (PostgreSQL 14): `case` is the only other word there that `end` closes.
// `as end` and `x.end` are labels and columns, which may be reserved words.
function nestBlocks(state: State, token: Token, spelling: string): readonly number[] {
  if (token.kind !== 'word') return state.blocks;
  if (state.blocks.length > 0) {
    return state.previous === 'as' || state.previous === '.'
      ? state.blocks
      : nest(state.blocks, token, spelling, 'case', 'end');
  }
  const opens = spelling === 'atomic' && state.previous === 'begin' && state.parens.length === 0;
  return opens && ROUTINE.test(state.head.join(' ')) ? [token.start] : [];
}

interface Piece extends State {
  readonly end: number;
}

// Counts lines from one statement to the next: from the top each time, a dump of 100,000 inserts would take minutes.
function statementsOf(source: string, pieces: readonly Piece[]): readonly Statement[] {
  const statements: Statement[] = [];
  let line = 1;
  let counted = 0;
  for (const { offset: start, first, end } of pieces) {
    if (first === null) continue;
    const text = source.slice(start, end);
    line += newlines(source.slice(counted, first));
    counted = first;
    statements.push({ sql: text.trim(), offset: start + (text.length - text.trimStart().length), line });
  }
  return statements;
}

function lineOf(source: string, offset: number): number {
  return newlines(source.slice(0, offset)) + 1;
}

function newlines(text: string): number {
  return text.split('\n').length - 1;
}

function refuse(source: string, token: Token, file: string): void {
  if (token.kind === 'unterminated') throw open(source, token.start, file, token.what ?? 'construct');
  if (token.kind === 'backslash') {
    throw usageError(
      'sql_backslash',
      `${file}:${lineOf(source, token.start)}: a backslash outside quotes is a command of psql, not SQL.`,
      { object: file, hint: 'Write it in SQL: these files are sent to the server, not run by psql.' },
    );
  }
}

function refuseOpen(source: string, state: State, file: string): void {
  const paren = state.parens[0];
  if (paren !== undefined) throw open(source, paren, file, 'parenthesis');
  const block = state.blocks[0];
  if (block !== undefined) throw open(source, block, file, 'begin atomic body');
}

function open(source: string, start: number, file: string, what: string): SensordbError {
  return usageError(
    'sql_unterminated',
    `${file}:${lineOf(source, start)}: the ${what} that opens here never ends.`,
    {
      object: file,
    },
  );
}
