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
  /** Ends the clients, so that others can be made after it. */
  readonly leave: () => Promise<void>;
  /** Ends the clients and drops the database, whoever is still connected. */
  readonly drop: () => Promise<void>;
}

interface DatabaseOptions {
  /** Its name holds characters that have to be quoted everywhere. */
  readonly odd?: boolean;
  /** The server it is made on, instead of the one that all tests share. */
  readonly server?: string;
  /** The name of the database that it is a copy of; nobody may be connected to that one. */
  readonly template?: string;
}

/** Makes a new database. */
export async function createDatabase(options: DatabaseOptions = {}): Promise<TestDatabase> {
  const server = options.server ?? inject('serverUrl');
  const unique = randomBytes(6).toString('hex');
  const name = options.odd ? `test "${unique}" 50% & wé.ird'?#/` : `test_${unique}`;
  const template = quoted(options.template ?? 'template1');
  await onServer(server, (sql) => sql.unsafe(`create database ${quoted(name)} template ${template}`));
  const url = withDatabase(server, name);
  const sql = connectTo(url, { max: 3 });
  const clients = [sql];
  const leave = async () => {
    await Promise.all(clients.map((client) => client.end({ timeout: 1 })));
  };
  return {
    url,
    name,
    sql,
    connect: () => {
      const client = connectTo(url);
      clients.push(client);
      return client;
    },
    leave,
    drop: async () => {
      await leave();
      await onServer(server, (admin) => admin.unsafe(`drop database if exists ${quoted(name)} with (force)`));
    },
  };
}

// postgres.js takes a dot in sql(name) for the one between a schema and a table.
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

async function onServer(server: string, work: (sql: Sql) => PromiseLike<unknown>): Promise<void> {
  const sql = connectTo(server);
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
