import { randomBytes } from 'node:crypto';
import postgres, { type Sql } from 'postgres';
import { inject } from 'vitest';

export { type RunningServer, startServer } from './postgres.ts';

/** A database of a test's own on the server that all tests share. */
export interface TestDatabase {
  /** A conninfo URL for the product. */
  readonly url: string;
  readonly name: string;
  /** A client for the test itself, in UTC. */
  readonly sql: Sql;
  /** Gives another client with one session of its own; drop() ends it too. */
  readonly connect: () => Sql;
  /** Ends the clients and drops the database, whoever is still connected. */
  readonly drop: () => Promise<void>;
}

/** Makes a new database; with `odd`, its name holds characters that have to be quoted everywhere. */
export async function createDatabase(options: { readonly odd?: boolean } = {}): Promise<TestDatabase> {
  const unique = randomBytes(6).toString('hex');
  const name = options.odd ? `test "${unique}" 50% & wé.ird'?#/` : `test_${unique}`;
  await onServer((sql) => sql.unsafe(`create database ${quoted(name)}`));
  const url = withDatabase(inject('serverUrl'), name);
  const sql = connectTo(url, { max: 3 });
  const clients = [sql];
  return {
    url,
    name,
    sql,
    connect: () => {
      const client = connectTo(url);
      clients.push(client);
      return client;
    },
    drop: async () => {
      await Promise.all(clients.map((client) => client.end({ timeout: 1 })));
      await onServer((server) => server.unsafe(`drop database if exists ${quoted(name)} with (force)`));
    },
  };
}

// postgres.js takes a dot in sql(name) for the one between a schema and a table.
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

async function onServer(work: (sql: Sql) => PromiseLike<unknown>): Promise<void> {
  const sql = connectTo(inject('serverUrl'));
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

const URL_PARTS = /^(postgres(?:ql)?:\/\/[^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;

/** Gives the same server's URL for another database. */
function withDatabase(url: string, name: string): string {
  const [, authority, , query] = URL_PARTS.exec(url) ?? [];
  if (authority === undefined) throw new Error(`Not a conninfo URL: ${url}`);
  return `${authority}/${encodeURIComponent(name)}${query ? `?${query}` : ''}`;
}

/** Opens a client for a conninfo URL, as the tests need it: in UTC, silent, of one session unless told. */
export function connectTo(url: string, options: { readonly max?: number } = {}): Sql {
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
    max_lifetime: null,
    onnotice: () => {},
    connection: { TimeZone: 'UTC', application_name: 'sensordb-test' },
  });
}
