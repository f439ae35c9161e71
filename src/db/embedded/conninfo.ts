import { resolveConninfo } from '../conninfo/resolve.ts';
import type { Conninfo } from '../conninfo/types.ts';

/** What it takes to log in to an embedded server. */
export interface Login {
  /** The folder of the socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** Makes the connection settings of an embedded server; nothing of the environment goes into them. */
export function embeddedConninfo(login: Login): Conninfo {
  return resolveConninfo({ url: connectionString(login), env: {} });
}

/** Writes a login as libpq's `keyword=value` string, as in `host='/tmp/with space' port=5432 …`. */
export function connectionString({ host, port, user, database }: Login): string {
  return `host=${quoteValue(host)} port=${port} user=${quoteValue(user)} dbname=${quoteValue(database)}`;
}

/** Gives the psql command line of a login, to be pasted into a shell. */
export function psqlCommand(login: Login): string {
  return `psql ${quoteForShell(connectionString(login))}`;
}

/** Quotes a text as one word for sh, and for the bash and zsh that somebody types into. */
export function quoteForShell(text: string): string {
  // Between double quotes these keep a meaning: `!` is the history's, on a prompt only.
  return /["$`\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}

function quoteValue(value: string): string {
  return /^[\w./-]+$/.test(value) ? value : `'${value.replaceAll(/[\\']/g, '\\$&')}'`;
}
