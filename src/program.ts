import { Command } from 'commander';
import { declareAggregates } from './aggregates/command.ts';
import type { Context } from './cli/context.ts';
import { declareHelp } from './cli/help.ts';
import type { Group, Invoke } from './cli/invoke.ts';
import { addGlobalOptions } from './cli/options.ts';
import { declareDemo } from './demo/command.ts';
import type { RunCommand } from './demo/walk.ts';
import { declareInspect } from './inspect/command.ts';
import { declareMigrate } from './migrate/command.ts';
import { declarePartitions } from './partitions/command.ts';

const EXAMPLES = `Examples:
  sensordb demo                                     a walk through every command, on a PostgreSQL of its own
  sensordb migrate up                               make the tables
  sensordb partitions ensure --months 3             the current month and the next three exist afterwards
  sensordb partitions ensure --months 3 --dry-run   print the SQL and the locks it takes, change nothing
  sensordb partitions list                          bounds, sizes, gaps, and when inserts start to fail
  sensordb inspect                                  what is wrong, what it means, and the SQL that mends it
`;

const AFTER = `
Exit codes, scripts, JSON:  sensordb help exit-codes
Connection settings:        sensordb help connection
`;

/**
 * Builds the one list of commands; each declares its options and hands its work to `invoke`.
 *
 * The verbs or options of a group that no word of `argv` names can be neither run nor asked about: declaring them all would take a tenth of
 * what a command with nothing to do takes beyond a bare Node.
 */
export function buildProgram(
  context: Context,
  argv: readonly string[],
  invoke: Invoke,
  runCommand: RunCommand,
): Command {
  const declareGroup = (declare: (program: Command) => Group): void => {
    const { group, declareVerbs } = declare(program);
    if (argv.includes(group.name())) declareVerbs(group, invoke);
  };
  const program = new Command('sensordb');
  program
    .description('Runs the whole life of a time-partitioned PostgreSQL table.')
    .version(context.version, '-V, --version')
    .usage('<command> [options]')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: () => {}, // main.ts shows usage errors, in text or JSON.
    })
    .configureHelp({ showGlobalOptions: true, helpWidth: Math.min(context.stdout.columns ?? 100, 120) })
    .showSuggestionAfterError(true)
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', AFTER);
  addGlobalOptions(program);
  program.commandsGroup('Partitions:');
  declareGroup(declarePartitions);
  program.commandsGroup('Aggregates:');
  declareGroup(declareAggregates);
  program.commandsGroup('Health:');
  declareGroup(declareInspect);
  program.commandsGroup('Schema:');
  declareGroup(declareMigrate);
  program.commandsGroup('Help:');
  declareDemo(program, invoke, runCommand);
  declareHelp(program, context);
  return program;
}
