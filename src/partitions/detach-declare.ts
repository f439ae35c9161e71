import type { Command } from 'commander';
import type { Invoke } from '../cli/invoke.ts';
import { addChangeOptions, addTableOption } from '../cli/options.ts';
import type { DetachOptions } from './detach-request.ts';

const EXAMPLES = `Examples:
  sensordb partitions detach sensors_sensorreading_2025_01
  sensordb partitions detach --older-than 12mo --into-schema archive
  sensordb partitions detach --before 2025-01-01 -t metrics.sample --dry-run
`;

const NOTES = `
A detached leaf is a table of its own. It keeps its rows, indexes and rights, and a CHECK on its bounds, so that
'sensordb partitions attach NAME' puts it back without reading it. Ages are judged by the upper bound.
It is done CONCURRENTLY where there is no DEFAULT partition, else under a brief lock on the table.
What an interrupted run left half detached is completed first, by every run.
Exits 6 when a leaf is refused, 5 when one is blocked, and says by whom; the others are detached all the same.
`;

/** Declares `partitions detach`. */
export function declareDetach(partitions: Command, invoke: Invoke): void {
  const detach = partitions
    .command('detach')
    .description('take leaves out of the table, as tables of their own')
    .argument('[names...]', 'leaves, as SQL spells them')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', NOTES)
    .optionsGroup('Leaves (names, or one of these):')
    .option('--older-than <age>', 'those that ended so long ago, such as 12mo, 90d, 8w, 2y')
    .option('--before <date>', 'those that end before or at a UTC date')
    .optionsGroup('Detach:')
    .option('--into-schema <schema>', 'move them there: out of the way of the application')
    .option('--no-gate', 'detach also what is held back for safety; needs --yes')
    .option('--yes', 'confirm --no-gate');
  addTableOption(detach);
  addChangeOptions(detach);
  invoke<DetachOptions>(detach, async (context, options, names) => {
    const { detachCommand } = await import('./detach-command.ts');
    return await detachCommand(context, options, names);
  });
}
