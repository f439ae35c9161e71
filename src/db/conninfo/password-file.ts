import { readFileSync, statSync } from 'node:fs';

/** What a line of the password file is matched with. */
export interface PasswordQuery {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** The lines of a password file, or none with the warning that libpq gives. */
export interface PasswordFile {
  readonly lines: readonly string[];
  readonly warning: string | null;
}

/** Reads a password file; one that others could read is ignored with a warning, as in libpq. */
export function readPasswordFile(path: string): PasswordFile {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts === undefined) return { lines: [], warning: null };
  if (!facts.isFile())
    return { lines: [], warning: `The password file ${path} is not a plain file; it is ignored.` };
  if ((facts.mode & 0o077) !== 0) {
    return {
      lines: [],
      warning: `The password file ${path} has group or world access and is ignored; its permissions should be u=rw (0600) or less.`,
    };
  }
  try {
    return { lines: readFileSync(path, 'utf8').split(/\r?\n/), warning: null };
  } catch {
    return { lines: [], warning: `The password file ${path} cannot be read; it is ignored.` };
  }
}

/** Finds the password of the first line that matches; null where none does. */
export function findPassword(lines: readonly string[], query: PasswordQuery): string | null {
  const wanted = [query.host, String(query.port), query.database, query.user];
  for (const line of lines) {
    if (line.startsWith('#')) continue;
    const fields = splitFields(line);
    const matches = wanted.every(
      (value, index) => fields[index]?.raw === '*' || fields[index]?.text === value,
    );
    if (matches && fields[4] !== undefined) return fields[4].text || null;
  }
  return null;
}

interface Field {
  readonly raw: string;
  readonly text: string;
}

// An escaped colon or backslash stands for itself; a lone * matches all, an escaped one is an asterisk.
function splitFields(line: string): readonly Field[] {
  const fields = line.match(/(?:\\.|[^:\\]|\\$)*(?::|$)/g) ?? [];
  return fields.map((field) => {
    const raw = field.endsWith(':') && !/(?:^|[^\\])(?:\\\\)*\\:$/.test(field) ? field.slice(0, -1) : field;
    return { raw, text: raw.replace(/\\(.)/g, '$1') };
  });
}
