import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { usageError } from '../../cli/errors.ts';
import { isKeyword, type Setting, type Settings } from './settings.ts';

/** Where packaged PostgreSQLs keep the service file of the whole machine: Debian's, then Red Hat's. */
const SYSTEM_DIRECTORIES = ['/etc/postgresql-common', '/etc/sysconfig/pgsql'];

interface ServiceFiles {
  /** PGSERVICEFILE, or null for the default one in the home directory. */
  readonly named: string | null;
  readonly home: string;
  /** PGSYSCONFDIR. */
  readonly systemDirectory: string | null;
}

/** Reads the settings of a service: the user's file first, then that of the machine, as libpq does. */
export function readService(service: string, files: ServiceFiles): Settings {
  if (files.named !== null && !existsSync(files.named)) {
    throw usageError('bad_connection_setting', `The service file ${files.named} does not exist.`, {
      object: files.named,
    });
  }
  const directories = files.systemDirectory === null ? SYSTEM_DIRECTORIES : [files.systemDirectory];
  const paths = [
    files.named ?? join(files.home, '.pg_service.conf'),
    ...directories.map((directory) => join(directory, 'pg_service.conf')),
  ];
  for (const path of paths) {
    const settings = existsSync(path) ? parseServiceFile(readServiceFile(path), service, path) : null;
    if (settings !== null) return settings;
  }
  throw usageError('bad_connection_setting', `The service "${service}" is defined in no service file.`, {
    object: service,
    hint: `Looked in ${paths.join(', ')}.`,
  });
}

/** Reads one service out of the text of a service file; null where it is not in it. */
function parseServiceFile(text: string, service: string, path: string): Settings | null {
  const settings = new Map<string, Setting>();
  let found = false;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (found) break;
      found = line.startsWith(`[${service}]`);
    } else if (found) {
      const { keyword, value } = parseLine(line, `${path}, line ${index + 1}`);
      const source = `service "${service}" of ${path}`;
      // The first of two equal keywords wins, the other way round than in a connection string.
      if (!settings.has(keyword)) settings.set(keyword, { value, source, quotable: true });
    }
  }
  return found ? settings : null;
}

function parseLine(line: string, where: string): { readonly keyword: string; readonly value: string } {
  const equals = line.indexOf('=');
  const keyword = line.slice(0, Math.max(equals, 0));
  if (/^ldaps?:/.test(line)) {
    throw usageError(
      'unsupported_connection_setting',
      `${where}: a service that is looked up in LDAP cannot be honoured.`,
    );
  }
  if (equals < 0 || !isKeyword(keyword)) {
    // The line stays unquoted: it may be a password gone astray.
    throw usageError('bad_connection_setting', `${where}: not a connection setting of PostgreSQL.`);
  }
  if (keyword === 'service' || keyword === 'servicefile') {
    throw usageError('bad_connection_setting', `${where}: a service cannot refer to another one.`);
  }
  return { keyword, value: line.slice(equals + 1) };
}

function readServiceFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw usageError('bad_connection_setting', `The service file ${path} cannot be read.`, {
      object: path,
      cause,
    });
  }
}
