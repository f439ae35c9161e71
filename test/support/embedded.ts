import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres, { type Sql } from 'postgres';
import { isAlive } from '../../src/db/embedded/cluster.ts';
import { readPostmasterFile } from '../../src/db/embedded/postmaster.ts';
import { until } from './until.ts';

/** A folder for the data of an embedded server, whose path has a space in it. */
export interface Home {
  readonly directory: string;
  /** Ends the server at once, if one runs. */
  readonly end: () => Promise<void>;
  /** Does that, and removes the folder. */
  readonly remove: () => Promise<void>;
}

/** Makes a folder that the user of the server can enter, too. */
export async function makeHome(): Promise<Home> {
  // Real paths, for macOS has its temporary folder behind a symbolic link.
  const home = await realpath(await mkdtemp(join(tmpdir(), 'with space-')));
  await chmod(home, 0o755);
  const directory = join(home, 'pg');
  const end = () => endServer(directory);
  const remove = async () => {
    await end();
    await rm(home, { recursive: true, force: true });
  };
  return { directory, end, remove };
}

/** Tells whether a server runs in the directory. */
export async function isRunning(directory: string): Promise<boolean> {
  const file = await readPostmasterFile(directory);
  return file !== null && isAlive(file.pid);
}

async function endServer(directory: string): Promise<void> {
  const file = await readPostmasterFile(directory);
  if (file === null || !isAlive(file.pid)) return;
  process.kill(file.pid, 'SIGQUIT');
  await until(async () => !isAlive(file.pid));
}

/** Connects to the directory's server as soon as it answers: somebody else, in psql, say. */
export async function visit(directory: string, database = 'postgres'): Promise<Sql> {
  await until(async () => (await readPostmasterFile(directory))?.status === 'ready');
  const sql = postgres({
    path: join(directory, '.s.PGSQL.5432'),
    user: 'postgres',
    database,
    ssl: false,
    max: 1,
    onnotice: () => {},
    connection: { application_name: 'visitor' },
  });
  await sql`select 1`;
  return sql;
}
