import { type SensordbError, usageError } from '../../cli/errors.ts';
import { isKeyword, isSecret, type Setting, type Settings } from './settings.ts';

const SPACE = /\s/;

interface Token {
  readonly text: string;
  readonly end: number;
}

/**
 * Reads a libpq string of `keyword=value` pairs.
 *
 * As in libpq a value with spaces stands in single quotes, a backslash takes the next character as it is, and
 * the last of two equal keywords wins.
 */
export function parseKeyValue(text: string, source: string): Settings {
  const settings = new Map<string, Setting>();
  let quotable = true;
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const keyword = readKeyword(text, at);
    const equals = skipSpace(text, keyword.end);
    if (text[equals] !== '=') throw unreadable(source, 'a keyword has no "=" after it');
    if (!isKeyword(keyword.text)) throw unknownKeyword(source, quotable ? keyword.text : null);
    const value = readValue(text, skipSpace(text, equals + 1), source);
    settings.set(keyword.text, { value: value.text, source, quotable });
    // What follows a password may be the rest of it, cut off by a space.
    quotable &&= !isSecret(keyword.text);
    at = skipSpace(text, value.end);
  }
  return settings;
}

/** Says that a connection string names a keyword libpq does not have; null where the name must not be shown. */
export function unknownKeyword(source: string, keyword: string | null): SensordbError {
  const shown = keyword !== null && /^\w+$/.test(keyword) ? keyword : null;
  const named = shown === null ? 'a setting' : `the setting "${shown}"`;
  return usageError(
    'bad_connection_setting',
    `PostgreSQL has no such connection setting: ${named} in ${source}.`,
    {
      object: shown ?? undefined,
      hint: 'The names are those of libpq: host, port, user, password, dbname, sslmode, options and so on.',
    },
  );
}

/** Says that a connection string cannot be read, without repeating any of it. */
export function unreadable(source: string, reason: string): SensordbError {
  return usageError('bad_connection_url', `The connection string in ${source} cannot be read: ${reason}.`, {
    hint: 'Write postgresql://user@host:5432/database, with the characters of a password percent-encoded (@ is %40, / is %2F), or host=… user=… dbname=… with values that hold spaces in single quotes.',
  });
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && SPACE.test(text[at] ?? '')) at += 1;
  return at;
}

function readKeyword(text: string, from: number): Token {
  let at = from;
  while (at < text.length && text[at] !== '=' && !SPACE.test(text[at] ?? '')) at += 1;
  return { text: text.slice(from, at), end: at };
}

function readValue(text: string, from: number, source: string): Token {
  const quoted = text[from] === "'";
  let at = quoted ? from + 1 : from;
  let value = '';
  for (;;) {
    const character = text[at];
    if (character === undefined) {
      if (quoted) throw unreadable(source, 'a quoted value has no closing quote');
      return { text: value, end: at };
    }
    if (quoted && character === "'") return { text: value, end: at + 1 };
    if (!quoted && SPACE.test(character)) return { text: value, end: at };
    // A backslash at the very end stands for nothing.
    if (character === '\\') at += 1;
    value += text[at] ?? '';
    at += 1;
  }
}
