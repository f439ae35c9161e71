import { runSteps, runTransaction } from '../db/run-steps.ts';
import { reading } from '../db/transaction.ts';
import { waitForWriters } from './barrier.ts';
import { counting } from './counting.ts';
import { readLeaves } from './leaves.ts';
import type { CountingScene } from './scene.ts';
import { advanceSteps, setupSteps } from './setup.ts';
import { isSetUp, readSourceState, type SourceState } from './state.ts';

/** How long a refresh waits for those who write, so that the hours that are over need not be counted again, in milliseconds. */
const WRITERS_WAIT_MS = 1000;

/** What is known of a source that is set up. */
export interface ReadyState extends SourceState {
  readonly cleanUntilHour: number;
  readonly gateHour: number;
  readonly setUp: boolean;
}

/** Sets the source up where it is not, or not any more. */
export async function makeReady(scene: CountingScene): Promise<ReadyState> {
  const { session, source, run, hour, begin } = scene;
  const state = await reading(session, () => readSourceState(session, source));
  const { cleanUntilHour, gateHour } = state;
  if (isSetUp(state) && cleanUntilHour !== null && gateHour !== null) {
    return { ...state, cleanUntilHour, gateHour, setUp: false };
  }
  await begin();
  const leaves = await reading(session, () => readLeaves(session, source));
  const relations = leaves.flatMap((leaf) => leaf.relations);
  await runSteps(session, setupSteps(source, state, hour, relations), run);
  const after = await reading(session, () => readSourceState(session, { ...source, hasState: true }));
  return {
    ...after,
    cleanUntilHour: after.cleanUntilHour ?? hour,
    gateHour: after.gateHour ?? hour,
    setUp: true,
  };
}

/** Moves the gate, and notes what is pending; gives those whose writing holds the clean hours back. */
export async function advance(scene: CountingScene, state: ReadyState): Promise<readonly string[]> {
  const { session, source, run, hour, begin } = scene;
  const isDue = hour > state.cleanUntilHour;
  const { gate } = advanceSteps(source, state, hour);
  if (gate.length > 0) {
    await begin();
    await runTransaction(session, gate, run);
  }
  const heldBackBy = isDue ? await waitForWriters(session, source, WRITERS_WAIT_MS) : [];
  const reachable = heldBackBy.length === 0 ? hour : state.cleanUntilHour;
  const { note } = advanceSteps(source, state, reachable);
  if (note.length === 0) return heldBackBy;
  await begin();
  await counting(session, source, state.id, run, async () => {
    for (const { sql } of note) await session.run(sql);
  });
  return heldBackBy;
}
