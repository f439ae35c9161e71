import { spawn } from 'node:child_process';
import { failure } from '../../cli/errors.ts';

/** The operating system user that the server runs as, when that is not the current one. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** What a finished child process said: both streams as one text, and its exit code (null: a signal). */
export interface Finished {
  readonly code: number | null;
  readonly output: string;
}

/**
 * Gives the environment of every child: no PG* variable, whose PGDATA and PGPORT the server would heed, and
 * no password or URL of the caller. LC_ALL=C also keeps macOS from making the postmaster multithreaded.
 */
function childEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
}

/** Gives the spawn options that make a child run as the account, from a folder that everyone may enter. */
export function spawnAs(account: Account | null) {
  const identity = account === null ? {} : { uid: account.uid, gid: account.gid };
  return { cwd: '/', env: childEnvironment(), ...identity };
}

/** Runs a program to its end as the account; a program that cannot be started ends with code 127. */
export function run(program: string, args: readonly string[], account: Account | null): Promise<Finished> {
  return new Promise((resolve) => {
    const output: string[] = [];
    const child = spawn(program, args, { ...spawnAs(account), stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => output.push(text));
    child.once('error', (error) => resolve({ code: 127, output: error.message }));
    child.once('close', (code) => resolve({ code, output: output.join('') }));
  });
}

/** Tells whether this process is root, as which PostgreSQL refuses to run. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

// macOS names its own `_postgres`; `nobody` is on every Unix.
const UNPRIVILEGED = ['postgres', '_postgres', 'nobody'] as const;

async function lookUp(name: string): Promise<Account | null> {
  const [uid, gid] = await Promise.all([run('id', ['-u', name], null), run('id', ['-g', name], null)]);
  if (uid.code !== 0 || gid.code !== 0) return null;
  // macOS prints nobody's uid as 4294967294, and spawn wants an int32: `| 0` makes it -2.
  return { uid: Number(uid.output) | 0, gid: Number(gid.output) | 0, name };
}

/** Finds the existing unprivileged user that a server started by root runs as; null for an ordinary user. */
export async function serverAccount(): Promise<Account | null> {
  if (!isRoot()) return null;
  for (const name of UNPRIVILEGED) {
    const account = await lookUp(name);
    if (account !== null && account.uid !== 0) return account;
  }
  throw failure(
    'embedded_no_account',
    'PostgreSQL does not run as root, and there is no user to run it as.',
    {
      hint: `Run sensordb as an ordinary user, or create one of the users ${UNPRIVILEGED.join(', ')}.`,
    },
  );
}

/** Tells whether the account may enter a folder, by trying: modes, ACLs and mounts all have a say. */
export async function canEnter(folder: string, account: Account | null): Promise<boolean> {
  const { code } = await run('test', ['-x', folder, '-a', '-r', folder], account);
  return code === 0;
}
