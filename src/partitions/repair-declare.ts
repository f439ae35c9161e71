import type { Command } from 'commander';
import type { Invoke } from '../cli/invoke.ts';
import { addChangeOptions, addTableOption } from '../cli/options.ts';
import { DRIFT_KINDS } from './drift.ts';
import type { RepairOptions } from './repair-request.ts';

const EXAMPLES = `Examples:
  sensordb partitions repair                          all drift, on all leaves
  sensordb partitions repair --check                  for CI: exits 3 when there is drift
  sensordb partitions repair reading_2026_01 --only indexes,grants
  sensordb partitions repair --skip grants --dry-run
`;

const NOTES = `
Kinds: ${DRIFT_KINDS.slice(0, 5).join(', ')},
${DRIFT_KINDS.slice(5).join(', ')}.

Leaves, DEFAULT and sub-partitions among them, are made to have what their parent has, no less and no more: surplus
privileges are revoked and surplus policies dropped, too. Missing and invalid indexes are built CONCURRENTLY, a leaf at a
time, and attached. Indexes that only a leaf has are left alone. Of foreign tables only owner and privileges are looked at.

Storage parameters, which a parent cannot have, come from the newest leaf: one that it has and another lacks is set there.
One that an older leaf has alone, or with another value, is left alone, and so is autovacuum_enabled.

Exits 3 when drift is left that cannot be mended, and says why; 5 when somebody's lock stood in the way of some of it.
`;

/** Declares `partitions repair`. */
export function declareRepair(partitions: Command, invoke: Invoke): void {
  const repair = partitions
    .command('repair')
    .description('find and mend what has drifted between leaves and their parent')
    .argument('[name...]', 'leaves, as SQL spells them (default: all)')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', NOTES)
    .optionsGroup('Drift:')
    .option('--only <kinds>', 'look for these kinds alone, with commas between them')
    .option('--skip <kinds>', 'leave out these kinds')
    .option('--check', 'change nothing, and exit 3 when there is drift');
  addTableOption(repair);
  addChangeOptions(repair);
  invoke<RepairOptions>(repair, async (context, options, names) => {
    const { repairCommand } = await import('./repair-command.ts');
    return await repairCommand(context, names, options);
  });
}
