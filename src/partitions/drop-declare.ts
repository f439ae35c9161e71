import type { Command } from 'commander';
import type { Invoke } from '../cli/invoke.ts';
import { addChangeOptions, addTableOption } from '../cli/options.ts';
import type { DropOptions } from './drop-request.ts';

const EXAMPLES = `Examples:
  sensordb partitions drop --older-than 24mo --keep-for 7d     what was detached a week ago or earlier
  sensordb partitions drop sensors_sensorreading_2024_01
  sensordb partitions drop --before 2024-01-01 --dry-run
`;

const NOTES = `
Ages are judged by the end of a leaf, in UTC. A current or future leaf, the last attached one, and DEFAULT are never
dropped, nor is a table that is no leaf and was not detached by sensordb. Nothing is dropped by CASCADE.
Exits 6 when a leaf was refused, 5 when one was blocked, and says why; the others are dropped all the same.
`;

/** Declares `partitions drop`. */
export function declareDrop(partitions: Command, invoke: Invoke): void {
  const drop = partitions
    .command('drop')
    .argument('[names...]', 'leaves, attached or detached, as SQL spells them: [schema.]leaf')
    .description('drop leaves for good, unless something depends on them')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', NOTES)
    .optionsGroup('Selection (names, or one of these):')
    .option('--older-than <age>', 'leaves that ended so long ago: 90d, 8w, 12mo, 2y')
    .option('--before <date>', 'leaves that ended by a UTC date')
    .optionsGroup('Safety:')
    .option('--keep-for <age>', 'drop only leaves that were detached so long ago')
    .option('-y, --yes', 'do not ask; off a terminal nothing is dropped without it')
    .option('--no-gate', 'pass over the reasons of the retention gate (with --yes)');
  addTableOption(drop);
  addChangeOptions(drop);
  invoke<DropOptions>(drop, async (context, options, names) => {
    const { dropCommand } = await import('./drop-command.ts');
    return await dropCommand(context, options, names);
  });
}
