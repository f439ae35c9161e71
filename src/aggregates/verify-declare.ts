import type { Command } from 'commander';
import type { Invoke } from '../cli/invoke.ts';
import { addTableOption } from '../cli/options.ts';
import type { VerifyOptions } from './verify-request.ts';

const EXAMPLES = `Examples:
  sensordb aggregates verify
  sensordb aggregates verify --from 2026-01-01 --to 2026-02-01
  sensordb aggregates verify --sample 0.05                # every twentieth hour, others each time
  sensordb aggregates verify --sample 0.05 --seed 4711    # the very hours of that run again
`;

const NOTES = `
Counts, minima, maxima, the first and last instants and values, and the sketch must be equal; of a sketch up to three buckets
that differ are shown, each as its count × its middle. value_sum may differ by
tolerance × √(count × sum of squares), which is no less than the tolerance of the sum of absolute values, so that readings
that cancel each other out are no mismatch; value_sxx by tolerance × √(value_sxx × sum of squares). value_avg is derived
from count and sum by the database. Where sums may overflow, NaN is as right as any number.

Hours that changed since they were counted, that are pending or not over yet, are not compared but told as unchecked; so
are those whose raw rows went with a leaf. It writes nothing but its line in the run log, by which inspect knows of it, and not even
that on a standby or for a role that may only read; and takes no lock but ACCESS SHARE, on what it reads and while it reads it.

Exit 3 when there are mismatches: sensordb aggregates backfill --recount --from … --to … mends them. All are counted; a
terminal is shown the first 20, --json and a pipe the first 10,000. Exit 5 when a leaf was locked and could not be read.
`;

/** Declares `aggregates verify`. */
export function declareVerify(aggregates: Command, invoke: Invoke): void {
  const verify = aggregates
    .command('verify')
    .description('recount the raw rows, and compare with the aggregates')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', NOTES)
    .optionsGroup('Range:')
    .option('--from <hour>', 'from this hour on, in UTC')
    .option('--to <hour>', 'up to this hour, exclusive')
    .option('--sample <share>', 'check a random share of the hours, above 0 and up to 1')
    .option('--seed <n>', 'which ones: as a run with --sample told')
    .optionsGroup('Comparison:')
    .option('--tolerance <r>', 'relative difference that sums may have', '1e-9');
  addTableOption(verify);
  invoke<VerifyOptions>(verify, async (context, options) => {
    const { verifyCommand } = await import('./verify-command.ts');
    return await verifyCommand(context, options);
  });
}
