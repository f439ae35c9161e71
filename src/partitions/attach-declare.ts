import type { Command } from 'commander';
import type { Invoke } from '../cli/invoke.ts';
import { addChangeOptions, addTableOption } from '../cli/options.ts';
import type { AttachOptions } from './attach-request.ts';

const EXAMPLES = `Examples:
  sensordb partitions attach sensors_sensorreading_2025_01
  sensordb partitions attach import_2025_02 --from 2025-02-01 --until 2025-03-01
  sensordb partitions attach sensors_sensorreading_2025_01 --dry-run
`;

const NOTES = `
Puts back what 'sensordb partitions detach' took out: with its bounds, into its schema and its publications.
By its CHECK the leaf is not read. DEFAULT and the tables that foreign keys lead to are locked for a moment.
Where scanning DEFAULT would hold everybody up for longer than --lock-timeout, it is a conflict unless --guard-default
is given: live rows of the leaf's period are then refused (SQLSTATE 23514) until it is attached.
Exits 3 when a leaf cannot be attached as things are, and says why; the others are attached all the same.
`;

/** Declares `partitions attach`. */
export function declareAttach(partitions: Command, invoke: Invoke): void {
  const attach = partitions
    .command('attach')
    .description('put detached leaves back into the table')
    .argument('[names...]', 'detached leaves, as SQL spells them')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', NOTES)
    .optionsGroup('A table that sensordb did not detach:')
    .option('--from <date>', 'its lower bound, a UTC date, inclusive')
    .option('--until <date>', 'its upper bound, a UTC date, exclusive')
    .optionsGroup('DEFAULT:')
    .option('--guard-default', 'allow a CHECK on a large DEFAULT that refuses rows of the period meanwhile');
  addTableOption(attach);
  addChangeOptions(attach);
  invoke<AttachOptions>(attach, async (context, options, names) => {
    const { attachCommand } = await import('./attach-command.ts');
    return await attachCommand(context, options, names);
  });
}
