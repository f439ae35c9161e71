import type { Command } from 'commander';
import type { Group, Invoke } from '../cli/invoke.ts';
import { AREAS } from './check.ts';
import type { InspectOptions } from './request.ts';

const EXAMPLES = `Examples:
  sensordb inspect                                   all of the database; exit 3 when something is wrong
  sensordb inspect partitions --table metrics.cpu    one area, one table
  sensordb inspect --only runway,default_rows        two checks
  sensordb inspect --format nagios                   a status line and exit codes as Nagios wants them
  sensordb inspect --format html > report.html       a page with pictures, to read and to attach to a ticket
  sensordb inspect --explain index_unused            what a check means, its thresholds and where they come from
`;

const NOTES = `
It reads only, and waits for no lock: a table that somebody has locked is reported as unknown, and so is whatever the role may
not see. Statistics that are too young to judge by are listed as not yet, and never fail.
Exit 3 when there is a finding of the severity --fail-on or above; unknown counts as a warning, info never fails. With --format
nagios alone the exit codes are Nagios's: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN, the last also when there is no connection.
Formats but table and json are printed with --quiet, too, and say on stdout when a run fails.
`;

/** Declares `inspect`, and gives what declares its options. */
export function declareInspect(program: Command): Group {
  const group = program
    .command('inspect')
    .description('what is wrong with indexes, partitions, tables and aggregates, and what mends it')
    .usage(`[${AREAS.join('|')}] [options]`)
    .argument('[area...]');
  return { group, declareVerbs: declareOptions };
}

function declareOptions(inspect: Command, invoke: Invoke): void {
  inspect
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', NOTES)
    .optionsGroup('Checks:')
    .option('--only <checks>', 'only these checks, by name, separated by commas')
    .option('--skip <checks>', 'all but these')
    .option(
      '--fail-on <severity>',
      'critical or warning: from which severity on it exits 3 (default: "warning")',
    )
    .option('--explain <check>', 'print what a check means instead of running it')
    .option(
      '--config <file>',
      'thresholds, suppressions and more (else SENSORDB_CONFIG, else ./sensordb.yaml)',
    )
    .optionsGroup('Report:')
    .option('--fix-script', 'print the fixes of all findings as one psql script instead')
    .option('--print-schema', 'print the JSON Schema of what --json prints instead of running anything')
    .option('--suppress <file>', 'leave out what this YAML file says, with reasons and dates')
    .option('--baseline <file>', 'only what is new since this output of inspect --json')
    .option('--format <format>', 'table, json, nagios, prometheus, github, markdown or html')
    .optionsGroup('Table:')
    .option('-t, --table <name>', 'one partitioned table only, as SQL spells it: [schema.]table');
  invoke<InspectOptions>(
    inspect,
    async (context, options, areas) => {
      const { inspectCommand } = await import('./inspect-command.ts');
      return await inspectCommand(context, options, areas);
    },
    async (error, argv, context) => {
      const { failureForm } = await import('./failure.ts');
      return await failureForm(error, argv, context);
    },
  );
}
