import type { Context } from '../cli/context.ts';
import type { Outcome } from '../cli/output.ts';
import { type ChangeAggregatesOptions, changeAggregates } from './change.ts';
import { NOTHING } from './count.ts';
import { countedOutcome } from './counted-outcome.ts';
import { readIdle } from './idle.ts';

/** Runs `aggregates refresh`; what counts is loaded only when there is something to count. */
export async function refreshCommand(context: Context, options: ChangeAggregatesOptions): Promise<Outcome> {
  return await changeAggregates(context, options, {
    command: 'aggregates refresh',
    arguments: {},
    logged: ['counted', 'written', 'removed', 'cleanUntil'],
    idle: async (session, source, hour) => {
      const cleanUntilHour = await readIdle(session, source, hour);
      if (cleanUntilHour === null) return null;
      const result = { ...NOTHING, setUp: false, cleanUntilHour, heldBackBy: [], skipped: 0 };
      return (warnings) => countedOutcome(source, result, warnings);
    },
    carryOut: async (scene, warnings) => {
      const { refresh } = await import('./refresh.ts');
      return countedOutcome(scene.source, await refresh(scene), warnings);
    },
    preview: async (scene, warnings) => {
      const { previewCounting } = await import('./preview.ts');
      return await previewCounting(
        scene,
        { range: null, recount: false, jobs: 1 },
        context.version,
        warnings,
      );
    },
  });
}
