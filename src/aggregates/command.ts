import type { Command } from 'commander';
import type { Group, Invoke } from '../cli/invoke.ts';
import { addChangeOptions, addTableOption } from '../cli/options.ts';
import type { BackfillOptions } from './backfill-request.ts';
import type { ChangeAggregatesOptions } from './change.ts';
import { declareStatus } from './status-declare.ts';
import { declareVerify } from './verify-declare.ts';

/** Declares `aggregates`, and gives what declares its verbs. */
export function declareAggregates(program: Command): Group {
  const group = program
    .command('aggregates')
    .description('hourly aggregates of the readings, exact to the last row');
  return { group, declareVerbs };
}

function declareVerbs(aggregates: Command, invoke: Invoke): void {
  declareBackfill(aggregates, invoke);
  declareRefresh(aggregates, invoke);
  declareStatus(aggregates, invoke);
  declareVerify(aggregates, invoke);
}

const BACKFILL_EXAMPLES = `Examples:
  sensordb aggregates backfill --jobs 2
  sensordb aggregates backfill --from 2026-01-01 --to 2026-04-01
  sensordb aggregates backfill --max-lag 10s --max-wal-rate 20MB    # beside a busy server's work
`;

const BACKFILL_NOTES = `
History is counted a range at a time, each in a transaction of its own, the latest first; a run that was stopped or
killed is carried on by the next. The first run makes the triggers that log late changes from then on.
--from is inclusive, --to exclusive, whole hours of UTC: only what is still to be counted within them. With --recount
also what was counted before, and hours whose leaf was detached or dropped: their aggregates become what the readings
say that are there now.
`;

function declareBackfill(aggregates: Command, invoke: Invoke): void {
  const backfill = aggregates
    .command('backfill')
    .description('count history, range by range, on several connections side by side')
    .addHelpText('before', BACKFILL_EXAMPLES)
    .addHelpText('after', BACKFILL_NOTES)
    .optionsGroup('Range:')
    .option('--from <hour>', 'from this hour on, in UTC')
    .option('--to <hour>', 'up to this hour, exclusive')
    .option('--recount', 'count the range again, whatever was counted before')
    .optionsGroup('Load:')
    .option('-j, --jobs <n>', 'connections that count side by side', '1')
    .option('--max-lag <duration>', 'pause while a replica lags further behind')
    .option('--max-wal-rate <size>', 'pause while the server writes more WAL a second, on an average');
  addTableOption(backfill);
  addChangeOptions(backfill);
  invoke<BackfillOptions>(backfill, async (context, options) => {
    const { backfillCommand } = await import('./backfill-command.ts');
    return await backfillCommand(context, options);
  });
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
