import { parseKeyValue, unreadable } from './key-value.ts';
import type { Settings } from './settings.ts';
import { isUri, parseUri } from './uri.ts';

/** Reads a connection string as psql takes it: a URI, `keyword=value` pairs, or the bare name of a database. */
export function parseConnectionString(text: string, source: string): Settings {
  if (text.trim() === '') throw unreadable(source, 'it is empty');
  if (isUri(text)) return parseUri(text, source);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw unreadable(source, 'a URL begins with postgresql:// or postgres://');
  }
  // psql would take it for a database or a keyword; far likelier it is a URL without its scheme, with a password.
  if (/^[^=]*[:@/]/.test(text)) throw unreadable(source, 'it has neither a scheme nor any keyword=value');
  if (text.includes('=')) return parseKeyValue(text, source);
  return new Map([['dbname', { value: text, source, quotable: true }]]);
}
