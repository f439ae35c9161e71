import { type SensordbError, usageError } from '../../cli/errors.ts';

/** One connection setting as somebody wrote it, and where. */
export interface Setting {
  readonly value: string;
  /** `--url`, the name of an environment variable, or a service and its file. */
  readonly source: string;
  /** False where the text may be part of a password that was not quoted: then no message repeats it. */
  readonly quotable: boolean;
}

export type Settings = ReadonlyMap<string, Setting>;

/** libpq's keywords (PostgreSQL 18) with the environment variable of each. */
const KEYWORD_ENV: Readonly<Record<string, string | null>> = {
  service: 'PGSERVICE',
  servicefile: 'PGSERVICEFILE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  channel_binding: 'PGCHANNELBINDING',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  dbname: 'PGDATABASE',
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  client_encoding: null,
  options: 'PGOPTIONS',
  application_name: 'PGAPPNAME',
  fallback_application_name: null,
  keepalives: null,
  keepalives_idle: null,
  keepalives_interval: null,
  keepalives_count: null,
  tcp_user_timeout: null,
  sslmode: 'PGSSLMODE',
  sslnegotiation: 'PGSSLNEGOTIATION',
  sslcompression: 'PGSSLCOMPRESSION',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslcertmode: 'PGSSLCERTMODE',
  sslpassword: null,
  sslrootcert: 'PGSSLROOTCERT',
  sslcrl: 'PGSSLCRL',
  sslcrldir: 'PGSSLCRLDIR',
  sslsni: 'PGSSLSNI',
  sslkeylogfile: null,
  requirepeer: 'PGREQUIREPEER',
  require_auth: 'PGREQUIREAUTH',
  min_protocol_version: 'PGMINPROTOCOLVERSION',
  max_protocol_version: 'PGMAXPROTOCOLVERSION',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  gssencmode: 'PGGSSENCMODE',
  krbsrvname: 'PGKRBSRVNAME',
  gsslib: 'PGGSSLIB',
  gssdelegation: 'PGGSSDELEGATION',
  replication: null,
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  load_balance_hosts: 'PGLOADBALANCEHOSTS',
  scram_client_key: null,
  scram_server_key: null,
  oauth_issuer: null,
  oauth_client_id: null,
  oauth_client_secret: null,
  oauth_scope: null,
};

const SECRETS: ReadonlySet<string> = new Set(['password', 'sslpassword', 'oauth_client_secret']);

/** Says whether libpq knows a keyword of this name. */
export function isKeyword(name: string): boolean {
  return Object.hasOwn(KEYWORD_ENV, name);
}

/** Says whether the value of a keyword must never be shown. */
export function isSecret(keyword: string): boolean {
  return SECRETS.has(keyword);
}

/** Reads what libpq takes from environment variables. */
export function settingsFromEnv(env: Readonly<Record<string, string | undefined>>): Settings {
  const settings = new Map<string, Setting>();
  for (const [keyword, name] of Object.entries(KEYWORD_ENV)) {
    const value = name === null ? undefined : env[name];
    if (name !== null && value !== undefined) settings.set(keyword, { value, source: name, quotable: true });
  }
  // No keyword of libpq's, but a setting it sends to the server for this variable.
  if (env.PGGEQO) settings.set('geqo', { value: env.PGGEQO, source: 'PGGEQO', quotable: true });
  // The predecessor of PGSSLMODE, which libpq still honours where that is not set.
  if (env.PGREQUIRESSL?.startsWith('1') && !settings.has('sslmode')) {
    settings.set('sslmode', { value: 'require', source: 'PGREQUIRESSL', quotable: true });
  }
  return settings;
}

/** Lays settings over each other: the first that has a keyword wins, even with an empty value, as in libpq. */
export function overlay(...layers: readonly Settings[]): Settings {
  return new Map(layers.toReversed().flatMap((layer) => [...layer]));
}

/** Gives the value of a keyword, where an empty one counts as none. */
export function textOf(settings: Settings, keyword: string): string | null {
  return settings.get(keyword)?.value || null;
}

/** Says that a setting has a value it cannot have. */
export function badSetting(keyword: string, setting: Setting, expected: string): SensordbError {
  const shown = setting.quotable && !isSecret(keyword) ? ` "${setting.value}"` : '';
  return usageError('bad_connection_setting', `Bad ${keyword}${shown} in ${setting.source}: ${expected}.`, {
    object: keyword,
  });
}

/** Says that sensordb has no way to do what a setting demands. */
export function unsupportedSetting(keyword: string, setting: Setting, reason: string): SensordbError {
  const message = `The setting ${keyword} in ${setting.source} cannot be honoured: ${reason}.`;
  return usageError('unsupported_connection_setting', message, {
    object: keyword,
    hint: `Leave ${keyword} out for sensordb.`,
  });
}

/** Reads a setting that is one of a few words, or gives the fallback where it is not set at all. */
export function wordOf<Word extends string>(
  settings: Settings,
  keyword: string,
  words: readonly Word[],
  fallback: Word,
): Word {
  const setting = settings.get(keyword);
  if (setting === undefined) return fallback;
  const word = words.find((candidate) => candidate === setting.value);
  // An empty sslmode or target_session_attrs is an error in libpq too, where an empty host or port is none.
  if (word === undefined) throw badSetting(keyword, setting, `it is one of ${words.join(', ')}`);
  return word;
}

/** Reads a whole number, or gives the fallback where it is not set or empty. */
export function integerOf(settings: Settings, keyword: string, fallback: number): number {
  const setting = settings.get(keyword);
  if (setting === undefined || setting.value === '') return fallback;
  const text = setting.value.trim();
  const number = Number(text);
  if (!/^[+-]?\d+$/.test(text) || Math.abs(number) > 2_147_483_647) {
    throw badSetting(keyword, setting, 'it is a whole number');
  }
  return number;
}
