import type { Command } from 'commander';
import type { Invoke } from '../cli/invoke.ts';
import { addTableOption } from '../cli/options.ts';
import type { StatusOptions } from './status-request.ts';

const EXAMPLES = `Examples:
  sensordb aggregates status
  sensordb aggregates status --max-lag 2h --quiet    # for cron and CI: exit 3 when it lags further behind
`;

const NOTES = `
Clean until the earliest hour whose aggregates are not right, or not final: one that is not over yet, is still to be counted,
or has a late reading that no refresh has counted yet. The lag is the time from there to now: up to an hour and the time
between two refreshes even when all is well, and as much as the oldest late reading is late until it is counted.

Exit 3 when there are findings: aggregates that were never set up, or that have no clean hour yet; triggers that are missing or
disabled; leaves whose changes nobody sees; a lag beyond --max-lag. It reads only, and waits for no lock of anybody.
`;

/** Declares `aggregates status`. */
export function declareStatus(aggregates: Command, invoke: Invoke): void {
  const status = aggregates
    .command('status')
    .description('clean until when, what is still to be counted, and whether every change is logged')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', NOTES)
    .optionsGroup('Findings:')
    .option('--max-lag <duration>', 'a lag beyond this is a finding (exit 3)');
  addTableOption(status);
  invoke<StatusOptions>(status, async (context, options) => {
    const { statusCommand } = await import('./status-command.ts');
    return await statusCommand(context, options);
  });
}
