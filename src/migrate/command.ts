import type { Command } from 'commander';
import type { Group, Invoke } from '../cli/invoke.ts';
import { addChangeOptions } from '../cli/options.ts';
import type { StatusOptions } from './status.ts';
import type { UpOptions } from './up.ts';

/** Declares `migrate`, and gives what declares its verbs. */
export function declareMigrate(program: Command): Group {
  const group = program.command('migrate').description('make and update the tables, by migrations');
  return { group, declareVerbs };
}

function declareVerbs(migrate: Command, invoke: Invoke): void {
  declareUp(migrate, invoke);
  declareStatus(migrate, invoke);
}

function addSchemaOption(command: Command): Command {
  return command
    .optionsGroup('Schema:')
    .option('--schema <name>', 'schema of the tables (default: the first of the search_path)');
}

function declareUp(migrate: Command, invoke: Invoke): void {
  const up = migrate
    .command('up')
    .description('apply the migrations that are pending, one transaction each')
    .addHelpText('before', 'Examples:\n  sensordb migrate up\n  sensordb migrate up --dry-run\n');
  addSchemaOption(up).option(
    '--state-only',
    "make sensordb's own schema and nothing else, ahead of its first use by another role",
  );
  addChangeOptions(up);
  invoke<UpOptions>(up, async (context, options) => {
    const { upCommand } = await import('./up.ts');
    return await upCommand(context, options);
  });
}

function declareStatus(migrate: Command, invoke: Invoke): void {
  const status = migrate
    .command('status')
    .description('which migrations are applied and which are pending; writes nothing')
    .addHelpText(
      'before',
      'Examples:\n  sensordb migrate status\n  sensordb migrate status --check   # exit 3: pending\n',
    );
  addSchemaOption(status).option(
    '--check',
    'exit 3 when something is pending, or files and history disagree',
  );
  invoke<StatusOptions>(status, async (context, options) => {
    const { statusCommand } = await import('./status.ts');
    return await statusCommand(context, options);
  });
}
