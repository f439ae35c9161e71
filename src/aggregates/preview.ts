import { stepsAsData, stepsAsScript } from '../cli/dry-run.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import { describeBlocker, findBlockers } from '../db/blockers.ts';
import { joinWork, strongestLocks } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { readStateSteps } from '../migrate/logged.ts';
import { estimateSeconds } from './estimate.ts';
import { planWork, type WorkRequest } from './preview-plan.ts';
import type { CountingScene } from './scene.ts';
import { readSourceState } from './state.ts';

/** What a preview is asked for. */
interface PreviewRequest extends WorkRequest {
  readonly jobs: number;
}

/**
 * Shows the very statements that a run would send if nothing came in between, with their locks, and estimates rows and time;
 * takes no lock and writes nothing.
 */
export async function previewCounting(
  scene: CountingScene,
  request: PreviewRequest,
  version: string,
  warnings: readonly Warning[],
): Promise<Outcome> {
  const { session, source, run } = scene;
  const state = await reading(session, () => readSourceState(session, source));
  const { work, pieces } = await planWork(scene, state, request);
  const own = work.length === 0 ? [] : await readStateSteps(session, version);
  const steps = joinWork([...own, ...work]);
  const locks = strongestLocks(steps.flatMap((step) => step.locks));
  const blockers = await reading(session, () => findBlockers(session.db, locks));
  const rowsEstimate = Math.round(pieces.reduce((total, piece) => total + piece.rowsEstimate, 0));
  const secondsEstimate = await estimateSeconds(session, source, pieces, request.jobs);
  const notes = [
    ...(pieces.length === 0 ? [] : [concerned(pieces.length, rowsEstimate, secondsEstimate)]),
    ...blockers.map((blocker) => `-- in the way now: ${printable(describeBlocker(blocker))}\n`),
  ].join('');
  return {
    exitCode: EXIT.done,
    changed: false,
    data: {
      table: { schema: source.table.schema, name: source.table.name },
      pieces: pieces.length,
      rowsEstimate,
      secondsEstimate,
      steps: stepsAsData(steps),
      blockers,
    },
    warnings,
    error: null,
    render: () => stepsAsScript(steps, run.budget.lockTimeoutMs, notes),
  };
}

function concerned(pieces: number, rows: number, seconds: number | null): string {
  const time = seconds === null ? '' : `, in some ${seconds.toLocaleString('en')} s`;
  const ranges = `${pieces} ${pieces === 1 ? 'range' : 'ranges'}`;
  return `-- concerns ${ranges}, about ${rows.toLocaleString('en')} readings${time}\n`;
}
