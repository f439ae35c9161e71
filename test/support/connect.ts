import postgres, { type Sql } from 'postgres';

const URL_PARTS = /^(postgres(?:ql)?:\/\/[^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;

/** Gives the same server's URL for another database. */
export function withDatabase(url: string, name: string): string {
  const [, authority, , query] = URL_PARTS.exec(url) ?? [];
  if (authority === undefined) throw new Error(`Not a conninfo URL: ${url}`);
  return `${authority}/${encodeURIComponent(name)}${query ? `?${query}` : ''}`;
}

/** Opens a client for a conninfo URL, as the tests need it: in UTC, silent, of one session unless told. */
export function connectTo(
  url: string,
  options: { readonly max?: number; readonly fetchTypes?: boolean } = {},
): Sql {
  const [, authority = '', database = '', query = ''] = URL_PARTS.exec(url) ?? [];
  // WHATWG URLs refuse a user without a host, which a socket's URL has.
  const whole = /[@/]$/.test(authority) ? `${authority}localhost` : authority;
  const { hostname, port, username, password } = new URL(whole);
  const parameters = new URLSearchParams(query);
  return postgres({
    host: parameters.get('host') ?? hostname,
    port: Number(parameters.get('port') ?? (port || 5432)),
    user: decodeURIComponent(parameters.get('user') ?? username),
    password: decodeURIComponent(parameters.get('password') ?? password),
    database: decodeURIComponent(database),
    ssl: parameters.get('sslmode') === 'require' ? 'require' : false,
    max: options.max ?? 1,
    fetch_types: options.fetchTypes ?? true,
    max_lifetime: null,
    onnotice: () => {},
    connection: { TimeZone: 'UTC', application_name: 'sensordb-test' },
  });
}
