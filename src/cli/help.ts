import type { Command } from 'commander';
import { followCommands } from './argv.ts';
import type { Context } from './context.ts';
import { usageError } from './errors.ts';
import { EXIT_CODE_MEANINGS } from './exit-codes.ts';

const CONNECTION = `How sensordb finds its database, the first that is set:

  --url URL                 a URL (postgresql://user@host:5432/db) or a key=value string, as psql takes it
  SENSORDB_DATABASE_URL     the same, from the environment
  DATABASE_URL              the same
  PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD, PGPASSFILE and ~/.pgpass, PGSERVICE and the service file,
  PGSSLMODE, PGSSLROOTCERT, PGOPTIONS, PGAPPNAME, PGCONNECT_TIMEOUT, …
                            libpq's settings, as psql honours them

  --embedded [DIR]          a PostgreSQL that sensordb starts itself, and keeps in DIR

With nothing set a command fails (exit 2): a cron job that lost its environment must not report success.
`;

function exitCodes(): string {
  const lines = EXIT_CODE_MEANINGS.toSorted((a, b) => a.code - b.code).map(
    ({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`,
  );
  return `Exit codes:

${lines.join('\n')}

Of several outcomes the first in this order is given: ${EXIT_CODE_MEANINGS.map(({ code }) => code).join(', ')}.

With --json, stdout holds one object, on failure too:

  {"schemaVersion": 1, "command": "partitions ensure", "ok": true, "changed": true,
   "data": {}, "warnings": [], "error": null}

"ok" means exit 0. "error" is null on exits 0 and 3, else {code, message, hint, sqlstate, object}.
"changed" means that something other than sensordb's own bookkeeping was committed.
`;
}

const TOPICS: Readonly<Record<string, () => string>> = {
  'exit-codes': exitCodes,
  connection: () => CONNECTION,
};

/** Declares `help [topic or command…]`. */
export function declareHelp(program: Command, context: Context): void {
  program.helpCommand(false);
  program
    .command('help [topic...]')
    .description(`explain a command or a topic: ${Object.keys(TOPICS).join(', ')}`)
    .action((words: readonly string[]) => {
      const name = words.join(' ');
      // Own keys alone: every object has a `constructor`.
      if (Object.hasOwn(TOPICS, name)) context.stdout.write(TOPICS[name]?.() ?? '');
      else findCommand(program, words).outputHelp();
    });
}

function findCommand(program: Command, words: readonly string[]): Command {
  const { command, unknown } = followCommands(program, words);
  if (unknown.length === 0) return command;
  throw usageError('unknown_topic', `There is no command or help topic ${JSON.stringify(words.join(' '))}.`, {
    hint: `Topics: ${Object.keys(TOPICS).join(', ')}; commands: sensordb --help.`,
  });
}
