import type { Context } from '../cli/context.ts';
import type { Outcome } from '../cli/output.ts';
import { type ChangeAggregatesOptions, changeAggregates } from './change.ts';
import { countedOutcome } from './counted-outcome.ts';
import { previewCounting } from './preview.ts';
import { refresh } from './refresh.ts';

/** Runs `aggregates refresh`. */
export async function refreshCommand(context: Context, options: ChangeAggregatesOptions): Promise<Outcome> {
  return await changeAggregates(context, options, {
    command: 'aggregates refresh',
    arguments: {},
    logged: ['counted', 'written', 'removed', 'cleanUntil'],
    carryOut: async (scene, warnings) => countedOutcome(scene.source, await refresh(scene), warnings),
    preview: (scene, warnings) => previewCounting(scene, { range: null, jobs: 1 }, context.version, warnings),
  });
}
