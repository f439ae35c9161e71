import { type Command, Option } from 'commander';
import { createBudget, type LockBudget } from '../db/budget.ts';
import { parseDuration } from '../time/durations.ts';
import { usageError } from './errors.ts';
import type { OutputOptions } from './output.ts';

/** The options that every command has. */
export interface GlobalOptions extends OutputOptions {
  readonly url?: string;
  /** `--embedded` without DIR is true. */
  readonly embedded?: string | true;
}

/** The options that every command has that changes something. */
export interface ChangeOptions {
  readonly dryRun?: boolean;
  readonly lockTimeout: string;
  readonly wait: string;
}

/** The table that partition commands work on when `--table` names none. */
const DEFAULT_TABLE = 'sensors_sensorreading';

/** Declares the options that every command has, on the program. */
export function addGlobalOptions(program: Command): Command {
  return program
    .optionsGroup('Connection:')
    .addOption(new Option('--url <url>', 'PostgreSQL URL or key=value string, as psql takes it'))
    .addOption(
      new Option(
        '--embedded [dir]',
        'work on a PostgreSQL that sensordb starts itself and keeps in DIR',
      ).conflicts('url'),
    )
    .optionsGroup('Output:')
    .option('--json', 'print one JSON object on stdout, on failure too')
    .option('-q, --quiet', 'print nothing on success')
    .option('--no-color', 'print no colours (also: NO_COLOR)');
}

/** Declares `--table`. */
export function addTableOption(command: Command): Command {
  return command
    .optionsGroup('Table:')
    .option('-t, --table <name>', 'partitioned table, as SQL spells it: [schema.]table', DEFAULT_TABLE);
}

/** Declares what all changing commands share. */
export function addChangeOptions(command: Command): Command {
  return command
    .optionsGroup('Execution:')
    .option('-n, --dry-run', 'print the SQL that would be sent, with its locks, and change nothing')
    .option('--lock-timeout <duration>', 'longest that one try may queue for a lock', '100ms')
    .option('--wait <duration>', 'longest to wait for locks in all, over all tries', '30s');
}

/** Makes the lock budget from `--lock-timeout` and `--wait`. */
export function budgetOf(options: ChangeOptions): LockBudget {
  const lockTimeoutMs = parseDuration(options.lockTimeout, '--lock-timeout');
  if (lockTimeoutMs < 1) {
    // lock_timeout = 0 means "for ever" to PostgreSQL, the very thing this option is there to prevent.
    throw usageError('bad_duration', '--lock-timeout must be at least 1ms.', { object: '--lock-timeout' });
  }
  return createBudget(lockTimeoutMs, parseDuration(options.wait, '--wait'));
}

/** Reads a whole number from 0 up. */
export function parseCount(text: string, option: string): number {
  if (!/^\d{1,9}$/.test(text)) {
    throw usageError('bad_number', `${option} ${JSON.stringify(text)} is not a whole number from 0 up.`, {
      hint: `Give a number such as ${option} 3.`,
      object: option,
    });
  }
  return Number(text);
}
