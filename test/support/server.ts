import { randomBytes } from 'node:crypto';
import type { Sql } from 'postgres';
import { inject } from 'vitest';
import { connectTo, withDatabase } from './connect.ts';

export { connectTo } from './connect.ts';
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
