import { type Command, Option } from 'commander';
import type { Invoke } from '../cli/invoke.ts';
import { addChangeOptions, addTableOption } from '../cli/options.ts';
import { INTERVALS } from '../time/periods.ts';
import type { DrainOptions } from './drain-request.ts';

const EXAMPLES = `Examples:
  sensordb partitions drain                                    every row of DEFAULT into a leaf made for it
  sensordb partitions drain --from 2026-03 --until 2026-05
  sensordb partitions drain --quarantine reading_quarantine    and those of the year 52217 out of the table
  sensordb partitions drain --dry-run
`;

const NOTES = `
Rows are copied in batches; then one transaction for each period deletes them from DEFAULT and attaches their leaf, so
that every row is visible exactly once all the time, while others write. An interrupted run is carried on by the next.
Rows that no partition should exist for, by --not-before and --not-after, are reported and left (exit 3); with
--quarantine they are moved into an ordinary table, and so leave the partitioned one.
--guard-default refuses live rows of a period (SQLSTATE 23514) from the end of its copying to its attaching, which spares the
scan of a large DEFAULT while everybody waits.
`;

/** Declares `partitions drain`. */
export function declareDrain(partitions: Command, invoke: Invoke): void {
  const drain = partitions
    .command('drain')
    .description('move rows out of DEFAULT into leaves made for them, each visible all the time')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', NOTES)
    .optionsGroup('Range:')
    .option('--from <date>', 'periods from a UTC date on, inclusive')
    .option('--until <date>', 'periods up to a UTC date, exclusive')
    .option('--not-before <date>', 'no partition for periods that end before (default: 2000-01-01)')
    .option('--not-after <date>', 'no partition for periods that begin after (default: ten years from now)')
    .addOption(new Option('--interval <interval>', `length of new leaves: ${INTERVALS.join(', ')}`))
    .optionsGroup('Rows:')
    .option('--batch-rows <n>', 'rows that one transaction copies', '10000')
    .option('--quarantine <table>', 'move the rows that no partition should exist for into this table')
    .option('--guard-default', 'allow a CHECK on DEFAULT that refuses rows of the period meanwhile');
  addTableOption(drain);
  addChangeOptions(drain);
  invoke<DrainOptions>(drain, async (context, options) => {
    const { drainCommand } = await import('./drain-command.ts');
    return await drainCommand(context, options);
  });
}
