import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { usageError } from '../../cli/errors.ts';
import { parseConnectionString } from './connection-string.ts';
import { resolveEndpoints, SOCKET_DIRECTORIES } from './endpoints.ts';
import { readPasswordFile } from './password-file.ts';
import { readService } from './service.ts';
import { integerOf, overlay, type Settings, settingsFromEnv, textOf, wordOf } from './settings.ts';
import { resolveTls } from './tls.ts';
import type { Conninfo, ConninfoInput, TargetSessionAttrs } from './types.ts';
import { refuseUnsupported, unsupportedWarnings } from './unsupported.ts';

/** Variables that name a server or a database; without one of them, or a URL, nothing is configured. */
const NAMING_VARIABLES = ['PGHOST', 'PGHOSTADDR', 'PGSERVICE', 'PGDATABASE', 'PGPORT', 'PGUSER'];
const URL_VARIABLES = ['SENSORDB_DATABASE_URL', 'DATABASE_URL'];

/** libpq waits for ever by default; a cron job that does so would never report. */
const DEFAULT_CONNECT_TIMEOUT_SECONDS = 30;

const SESSION_ATTRS: readonly TargetSessionAttrs[] = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
];

/**
 * Resolves where and how to connect, as psql would with the same string and environment.
 *
 * Per setting the connection string goes before the service file, that before the environment, that before the
 * defaults. The string is that of `--url`, else SENSORDB_DATABASE_URL, else DATABASE_URL.
 */
export function resolveConninfo(input: ConninfoInput): Conninfo {
  const home = input.home ?? (input.env.HOME || homedir());
  const settings = gatherSettings(input, home);
  refuseUnsupported(settings);
  const user = textOf(settings, 'user') ?? input.osUser ?? osUser();
  const database = textOf(settings, 'dbname') ?? user;
  const passwordPath = textOf(settings, 'passfile') ?? join(home, '.pgpass');
  const usesPasswordFile = textOf(settings, 'password') === null;
  const passwordFile = usesPasswordFile ? readPasswordFile(passwordPath) : { lines: [], warning: null };
  const endpoints = resolveEndpoints(settings, {
    user,
    database,
    socketDirectories: input.socketDirectories ?? SOCKET_DIRECTORIES,
    passwordLines: passwordFile.lines,
  });
  const found = endpoints.some((endpoint) => endpoint.password !== null) ? passwordPath : null;
  const warnings = unsupportedWarnings(settings);
  return {
    endpoints,
    user,
    database,
    ...resolveSession(settings),
    tls: resolveTls(settings, home),
    passwordSource: usesPasswordFile ? found : (settings.get('password')?.source ?? null),
    warnings: passwordFile.warning === null ? warnings : [...warnings, passwordFile.warning],
  };
}

type SessionSettings = Omit<
  Conninfo,
  'endpoints' | 'user' | 'database' | 'tls' | 'passwordSource' | 'warnings'
>;

function resolveSession(settings: Settings): SessionSettings {
  return {
    applicationName:
      textOf(settings, 'application_name') ?? textOf(settings, 'fallback_application_name') ?? 'sensordb',
    options: textOf(settings, 'options'),
    geqo: textOf(settings, 'geqo'),
    connectTimeoutSeconds: Math.max(
      0,
      integerOf(settings, 'connect_timeout', DEFAULT_CONNECT_TIMEOUT_SECONDS),
    ),
    targetSessionAttrs: wordOf(settings, 'target_session_attrs', SESSION_ATTRS, 'any'),
    shuffleHosts: wordOf(settings, 'load_balance_hosts', ['disable', 'random'], 'disable') === 'random',
    keepaliveSeconds:
      integerOf(settings, 'keepalives', 1) === 0
        ? null
        : Math.max(0, integerOf(settings, 'keepalives_idle', 0)),
  };
}

function gatherSettings(input: ConninfoInput, home: string): Settings {
  const fromEnv = settingsFromEnv(input.env);
  const fromString = readConnectionString(input);
  if (fromString === null && NAMING_VARIABLES.every((name) => !input.env[name])) throw nothingConfigured();
  const explicit = fromString ?? new Map();
  const asked = overlay(explicit, fromEnv);
  const service = textOf(asked, 'service');
  if (service === null) return asked;
  const fromService = readService(service, {
    named: textOf(asked, 'servicefile'),
    home,
    systemDirectory: input.env.PGSYSCONFDIR || null,
  });
  return overlay(explicit, fromService, fromEnv);
}

function readConnectionString(input: ConninfoInput): Settings | null {
  // An empty --url is most likely an unset variable of a script: it must not fall through to another server.
  if (input.url !== undefined) return parseConnectionString(input.url, '--url');
  const name = URL_VARIABLES.find((variable) => input.env[variable]);
  return name === undefined ? null : parseConnectionString(input.env[name] ?? '', name);
}

function nothingConfigured() {
  return usageError('no_connection_settings', 'No database is configured.', {
    hint: 'Give --url, set SENSORDB_DATABASE_URL or DATABASE_URL, set PGHOST, PGDATABASE and the like or PGSERVICE as for psql, or run on an embedded server with --embedded.',
  });
}

function osUser(): string {
  try {
    return userInfo().username;
  } catch {
    throw usageError(
      'bad_connection_setting',
      'No user to log in as: the operating system has no name for this one.',
      {
        hint: 'Set PGUSER, or name the user in the connection string.',
      },
    );
  }
}
