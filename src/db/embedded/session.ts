import { realpath } from 'node:fs/promises';
import postgres, { type Sql } from 'postgres';

/** Where a server answers. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Does something in a session of its own on the database postgres. */
async function inSession<Result>(place: Place, work: (sql: Sql) => Promise<Result>): Promise<Result> {
  const sql = postgres({
    path: `${place.host}/.s.PGSQL.${place.port}`,
    user: 'postgres',
    database: 'postgres',
    // postgres.js would take these from the environment of a user who has another server in mind.
    password: '',
    ssl: false,
    target_session_attrs: 'primary',
    connect_timeout: 10,
    max: 1,
    max_lifetime: null,
    prepare: false,
    // Nobody awaits the driver's own query for array types: failing with the server, it would end the process.
    fetch_types: false,
    onnotice: () => {},
    connection: { application_name: 'sensordb' },
  });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Tells whether the server of that data directory answers at that place. */
export async function answers(place: Place, dataDirectory: string): Promise<boolean> {
  try {
    const rows = await inSession(place, (sql) => sql`select current_setting('data_directory') as directory`);
    return (await realpath(String(rows[0]?.directory))) === dataDirectory;
  } catch {
    return false;
  }
}

/** Makes the database where it is missing. */
export async function ensureDatabase(place: Place, name: string): Promise<void> {
  await inSession(place, async (sql) => {
    const found = await sql`select from pg_catalog.pg_database where datname = ${name}`;
    if (found.length > 0) return;
    await sql`create database ${sql(name)}`.catch((error: { readonly code?: string }) => {
      // Another process made it just now: 42P04, or 23505 from the unique index when both were at it.
      if (error.code !== '42P04' && error.code !== '23505') throw error;
    });
  });
}

/** Counts the sessions of others. */
export async function otherClients(place: Place): Promise<number> {
  const rows = await inSession(
    place,
    (sql) => sql`
      select count(*)::int as others from pg_catalog.pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  );
  return Number(rows[0]?.others);
}
