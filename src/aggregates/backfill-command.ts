import type { Context } from '../cli/context.ts';
import type { Outcome } from '../cli/output.ts';
import { backfill } from './backfill.ts';
import { type BackfillOptions, parseBackfillRequest } from './backfill-request.ts';
import { changeAggregates } from './change.ts';
import { countedOutcome } from './counted-outcome.ts';
import { previewCounting } from './preview.ts';

/** Runs `aggregates backfill`. */
export async function backfillCommand(context: Context, options: BackfillOptions): Promise<Outcome> {
  const request = parseBackfillRequest(options);
  const { from, to, jobs, recount, maxLag, maxWalRate } = options;
  return await changeAggregates(context, options, {
    command: 'aggregates backfill',
    arguments: { from, to, jobs, recount, maxLag, maxWalRate },
    logged: ['pieces', 'counted', 'written', 'removed', 'cleanUntil'],
    carryOut: async (scene, warnings) => {
      const result = await backfill(scene, request);
      const outcome = countedOutcome(scene.source, result, warnings);
      return { ...outcome, data: { ...outcome.data, pieces: result.pieces } };
    },
    preview: (scene, warnings) => previewCounting(scene, request, context.version, warnings),
  });
}
