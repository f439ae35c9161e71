import { type Command, Option } from 'commander';
import type { Group, Invoke } from '../cli/invoke.ts';
import { addChangeOptions, addTableOption } from '../cli/options.ts';
import { INTERVALS } from '../time/periods.ts';
import { declareAttach } from './attach-declare.ts';
import { declareDetach } from './detach-declare.ts';
import { declareDrain } from './drain-declare.ts';
import { declareDrop } from './drop-declare.ts';
import type { EnsureOptions } from './ensure-request.ts';
import type { ListOptions } from './list-command.ts';
import { declareRepair } from './repair-declare.ts';

/** Declares `partitions`, and gives what declares its verbs. */
export function declarePartitions(program: Command): Group {
  const group = program
    .command('partitions')
    .description('the life of the partitions of a table: made, seen, detached, dropped, mended');
  return { group, declareVerbs };
}

function declareVerbs(partitions: Command, invoke: Invoke): void {
  declareList(partitions, invoke);
  declareEnsure(partitions, invoke);
  declareDetach(partitions, invoke);
  declareAttach(partitions, invoke);
  declareDrop(partitions, invoke);
  declareDrain(partitions, invoke);
  declareRepair(partitions, invoke);
}

function declareList(partitions: Command, invoke: Invoke): void {
  const list = partitions
    .command('list')
    .description('bounds, rows, size and state of each partition; gaps; when inserts start to fail')
    .addHelpText(
      'before',
      'Examples:\n  sensordb partitions list\n  sensordb partitions list --table metrics.sample --json\n',
    );
  addTableOption(list);
  invoke<ListOptions>(list, async (context, options) => {
    const { listCommand } = await import('./list-command.ts');
    return await listCommand(context, options);
  });
}

const ENSURE_EXAMPLES = `Examples:
  sensordb partitions ensure --months 3               the current month and the next three
  sensordb partitions ensure --days 14 -t metrics.sample
  sensordb partitions ensure --from 2025-01 --until 2027-01
  sensordb partitions ensure --months 3 --dry-run | psql
`;

const ENSURE_NOTES = `
Leaves have the interval of those there are (month, if there are none). --from is inclusive, --until exclusive;
both are widened to whole periods, in UTC. Holes in the asked range are filled with their exact bounds.
Exits 3 when a period could not be given its leaf, and says why; the others are made all the same.
Beside a DEFAULT that takes longer to scan than --lock-timeout no leaf is attached unless --guard-default is given: it
refuses live rows of that very period (SQLSTATE 23514) until the leaf is attached.
`;

function declareEnsure(partitions: Command, invoke: Invoke): void {
  const ensure = partitions
    .command('ensure')
    .description('make the leaves that are missing, without blocking readers or writers')
    .addHelpText('before', ENSURE_EXAMPLES)
    .addHelpText('after', ENSURE_NOTES)
    .optionsGroup('Horizon (one of them):')
    .option('-m, --months <n>', 'the current period and those of the next N months')
    .option('-w, --weeks <n>', 'the current period and those of the next N weeks')
    .option('-d, --days <n>', 'the current period and those of the next N days')
    .option('--until <date>', 'up to a UTC date, exclusive')
    .optionsGroup('Range:')
    .option('--from <date>', 'from a UTC date on, inclusive (default: the current period)')
    .addOption(new Option('--interval <interval>', `length of new leaves: ${INTERVALS.join(', ')}`))
    .optionsGroup('Rows in DEFAULT:')
    .option('--drain', 'move those that stand in the way, as partitions drain does')
    .option('--guard-default', 'allow a CHECK on DEFAULT that refuses rows of the period meanwhile');
  addTableOption(ensure);
  addChangeOptions(ensure);
  invoke<EnsureOptions>(ensure, async (context, options) => {
    const { ensureCommand } = await import('./ensure-command.ts');
    return await ensureCommand(context, options);
  });
}
