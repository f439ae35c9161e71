import { unknownKeyword, unreadable } from './key-value.ts';
import { isKeyword, isSecret, type Setting, type Settings } from './settings.ts';

const SCHEME = /^postgres(?:ql)?:\/\//;

/** Says whether a connection string is written as a URI. */
export function isUri(text: string): boolean {
  return SCHEME.test(text);
}

/**
 * Reads a connection URI as libpq does: several hosts, IPv6 in brackets, `%2F` for a socket's directory,
 * parameters after `?`.
 *
 * It is stricter than libpq where a password that was not percent-encoded would end up in the host, the port
 * or the database and be shown with them.
 */
export function parseUri(text: string, source: string): Settings {
  const rest = text.replace(SCHEME, '');
  const query = splitAt(rest, endOfPath(rest));
  const path = splitAt(query.before, query.before.indexOf('/', afterUserinfo(query.before)));
  const userinfo = splitAt(path.before, path.before.indexOf('@'));
  const netloc = userinfo.found ? userinfo.after : path.before;
  if (netloc.includes('@') || path.after.includes('@') || holdsParameters(userinfo.before)) {
    throw unreadable(source, 'it has an "@" that is not percent-encoded');
  }
  const settings = new Map<string, Setting>();
  const put = (keyword: string, value: string, quotable: boolean) =>
    value !== '' && settings.set(keyword, { value: decode(value, source), source, quotable });

  if (userinfo.found) putUserinfo(userinfo.before, put);
  putHosts(netloc, source, put);
  put('dbname', path.after, false);
  // Without credentials before the hosts, an "@" further on may be the end of a password with a "/" in it.
  const suspicious = query.after.includes('@');
  for (const [keyword, setting] of parameters(query.after, source, !suspicious))
    settings.set(keyword, setting);
  return settings;
}

type Put = (keyword: string, value: string, quotable: boolean) => void;

interface Split {
  readonly before: string;
  readonly after: string;
  readonly found: boolean;
}

// In postgresql://host?password=a@b libpq takes all before the "@" for a user, and would show it.
function holdsParameters(userinfo: string): boolean {
  const keyword = /\?(?:.*&)?([a-z_]+)=/.exec(userinfo)?.[1];
  return keyword !== undefined && (keyword === 'ssl' || isKeyword(keyword));
}

function splitAt(text: string, index: number): Split {
  if (index < 0) return { before: text, after: '', found: false };
  return { before: text.slice(0, index), after: text.slice(index + 1), found: true };
}

/** Gives where the user and password end: libpq looks for the first "@" before the first "/". */
function afterUserinfo(text: string): number {
  const slash = text.indexOf('/');
  const at = text.indexOf('@');
  return at >= 0 && (slash < 0 || at < slash) ? at : 0;
}

// A "?" in the user or password is no start of parameters: libpq splits those off first.
function endOfPath(text: string): number {
  return text.indexOf('?', afterUserinfo(text));
}

function putUserinfo(userinfo: string, put: Put): void {
  const parts = splitAt(userinfo, userinfo.indexOf(':'));
  put('user', parts.before, false);
  put('password', parts.after, false);
}

function putHosts(netloc: string, source: string, put: Put): void {
  const hosts = netloc.split(',').map((host) => parseHost(host, source));
  put('host', hosts.map((host) => host.name).join(','), false);
  put('port', hosts.map((host) => host.port).join(','), false);
}

function parseHost(text: string, source: string): { readonly name: string; readonly port: string } {
  const bracketed = /^\[([^\]]*)\](.*)$/.exec(text);
  if (bracketed === null) {
    if (text.startsWith('[')) throw unreadable(source, 'an IPv6 address has no closing "]"');
    const { before, after } = splitAt(text, text.indexOf(':'));
    return { name: before, port: after };
  }
  const [, name = '', tail = ''] = bracketed;
  if (name === '') throw unreadable(source, 'the IPv6 address is empty');
  if (tail !== '' && !tail.startsWith(':'))
    throw unreadable(source, 'an IPv6 address is followed by neither ":" nor "/"');
  return { name, port: tail.slice(1) };
}

function parameters(text: string, source: string, mayQuote: boolean): Settings {
  const settings = new Map<string, Setting>();
  let quotable = mayQuote;
  for (const pair of text === '' ? [] : text.split('&')) {
    const { before, after, found } = splitAt(pair, pair.indexOf('='));
    if (!found || after.includes('=')) throw unreadable(source, 'a parameter is not written as name=value');
    const keyword = decode(before, source);
    const value = decode(after, source);
    // What follows a password may be the rest of it, cut off by an "&".
    if (keyword === 'ssl' && value === 'true') {
      // JDBC's spelling, which libpq takes as well.
      settings.set('sslmode', { value: 'require', source, quotable });
    } else if (isKeyword(keyword)) {
      settings.set(keyword, { value, source, quotable });
    } else throw unknownKeyword(source, quotable ? keyword : null);
    quotable &&= !isSecret(keyword);
  }
  return settings;
}

function decode(text: string, source: string): string {
  if (/%00/.test(text) || /%(?![0-9a-f]{2})/i.test(text)) {
    throw unreadable(source, 'it has a "%" that starts no percent-encoded character');
  }
  try {
    return decodeURIComponent(text);
  } catch {
    // The error of decodeURIComponent is left behind on purpose: no cause may carry the input.
    throw unreadable(source, 'its percent-encoded characters are not UTF-8');
  }
}
