import type { Command } from 'commander';
import type { Invoke } from '../cli/invoke.ts';
import { addChangeOptions, addTableOption } from '../cli/options.ts';
import type { ChangeAggregatesOptions } from './change.ts';

/** Declares `aggregates` and its verbs. */
export function declareAggregates(program: Command, invoke: Invoke): void {
  const aggregates = program
    .command('aggregates')
    .description('hourly aggregates of the readings, exact to the last row');
  declareRefresh(aggregates, invoke);
}

function declareRefresh(aggregates: Command, invoke: Invoke): void {
  const refresh = aggregates
    .command('refresh')
    .description('bring exactly the hours up to date that changed since')
    .addHelpText(
      'before',
      'Examples:\n  sensordb aggregates refresh\n  sensordb aggregates refresh --quiet        # for cron\n',
    );
  addTableOption(refresh);
  addChangeOptions(refresh);
  invoke<ChangeAggregatesOptions>(refresh, async (context, options) => {
    const { refreshCommand } = await import('./refresh-command.ts');
    return await refreshCommand(context, options);
  });
}
