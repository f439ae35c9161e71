import type { RunOptions } from '../db/budget.ts';
import { quoteLiteral } from '../db/quote.ts';
import { runTransaction } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { inTransaction, reading } from '../db/transaction.ts';
import { waitForWriters } from './barrier.ts';
import { type Counted, count, countHours, countRange, type DeviceHour, NOTHING, sum } from './count.ts';
import { counting } from './counting.ts';
import { formatHour, toInstant } from './hours.ts';
import { groupByLeaf, openSpans, readLeaves } from './leaves.ts';
import { listPending } from './pending.ts';
import { gateName, isSetUp, setupSteps } from './setup.ts';
import type { Source } from './source.ts';
import { readSourceState, type SourceState } from './state.ts';
import { workOffPieces } from './work.ts';

/** How a refresh is run. */
export interface RefreshScene {
  readonly session: Session;
  readonly source: Source;
  readonly run: RunOptions;
  /** The hour that is not over yet, since 1970. */
  readonly hour: number;
  /** Told before the first change: the run log's line is begun. */
  readonly begin: () => Promise<void>;
  readonly update: (text: string) => void;
}

/** What a refresh came to. */
export interface RefreshResult extends Counted {
  readonly setUp: boolean;
  readonly cleanUntilHour: number;
  /** Who has written before the gate was moved and is still at it. */
  readonly heldBackBy: readonly string[];
  /** Device-hours whose other rows went with a leaf. */
  readonly skipped: number;
}

/** How many device-hours are taken off the log in one transaction. */
const HOURS_A_BATCH = 5000;

/** How long a refresh waits for those who write, so that the hours that are over need not be counted again, in milliseconds. */
const WRITERS_WAIT_MS = 1000;

/**
 * Brings the aggregates up to date with all that was committed when it began; every piece in a transaction of its own.
 *
 * 1. The gate moves to the current hour: from then on changes before it are logged. When those have ended who wrote before,
 *    the hours up to there are put among the pending ranges.
 * 2. Partitions that came, went, or were truncated are noted: those that came are pending, those that went are frozen.
 * 3. Pending ranges are counted, then what the log says, then all from the gate on.
 *
 * A run that is killed has done the pieces that it committed; the next one goes on from there.
 */
export async function refresh(scene: RefreshScene): Promise<RefreshResult> {
  const state = await makeReady(scene);
  const heldBackBy = await advance(scene, state);
  const cleanUntilHour =
    heldBackBy.length === 0 ? Math.max(scene.hour, state.cleanUntilHour) : state.cleanUntilHour;
  let total = NOTHING;
  const moved = heldBackBy.length === 0 && scene.hour > state.cleanUntilHour;
  if (moved || state.leavesMoved || state.hasPending)
    total = await countAllPending(scene, state.id, cleanUntilHour);
  const changes =
    state.hasChanges || total !== NOTHING ? await countChanges(scene, state.id) : { ...NOTHING, skipped: 0 };
  const open = await countOpen(scene, cleanUntilHour);
  return {
    ...sum(sum(total, changes), open),
    setUp: state.setUp,
    cleanUntilHour,
    heldBackBy,
    skipped: changes.skipped,
  };
}

interface ReadyState extends SourceState {
  readonly cleanUntilHour: number;
  readonly gateHour: number;
  readonly setUp: boolean;
}

/** Sets the source up where it is not, or not any more. */
export async function makeReady(scene: RefreshScene): Promise<ReadyState> {
  const { session, source, run, hour, begin } = scene;
  const state = await readSourceState(session, source);
  const { cleanUntilHour, gateHour } = state;
  if (isSetUp(state) && cleanUntilHour !== null && gateHour !== null) {
    return { ...state, cleanUntilHour, gateHour, setUp: false };
  }
  await begin();
  const leaves = await reading(session, () => readLeaves(session, source));
  const relations = leaves.flatMap((leaf) => leaf.relations);
  await runTransaction(session, setupSteps(source, state, hour, relations), run);
  const after = await readSourceState(session, source);
  return {
    ...after,
    cleanUntilHour: after.cleanUntilHour ?? hour,
    gateHour: after.gateHour ?? hour,
    setUp: true,
  };
}

/** Moves the gate, and notes what is pending; gives those whose writing holds the clean hours back. */
export async function advance(
  { session, source, run, hour, begin }: RefreshScene,
  { id, gateHour, cleanUntilHour, leavesMoved }: ReadyState,
): Promise<readonly string[]> {
  if (hour > gateHour) {
    await begin();
    const gate = { gate: gateName(id), hours: String(hour) };
    await inTransaction(session, { access: 'read write', lockTimeoutMs: run.budget.lockTimeoutMs }, () =>
      session.run(sqlStatement('aggregates/set_gate.sql', gate)),
    );
  }
  const isDue = hour > cleanUntilHour;
  const heldBackBy = isDue ? await waitForWriters(session, source, WRITERS_WAIT_MS) : [];
  if (!leavesMoved && (!isDue || heldBackBy.length > 0)) return heldBackBy;
  await begin();
  await counting(session, source, run, async () => {
    if (heldBackBy.length === 0 && isDue) {
      await session.run(sqlStatement('aggregates/advance.sql', { source: id, hours: String(hour) }));
    }
    if (leavesMoved) await session.run(sqlStatement('aggregates/settle_leaves.sql', { source: id }));
  });
  return heldBackBy;
}

async function countAllPending(scene: RefreshScene, id: string, cleanUntilHour: number): Promise<Counted> {
  const { session, source, run, begin } = scene;
  const wanted = { id, cleanUntil: toInstant(cleanUntilHour), range: null };
  const pieces = await listPending(session, source, wanted, run);
  if (pieces.length === 0) return NOTHING;
  await begin();
  return await workOffPieces(scene, id, pieces, { jobs: 1, reasonToWait: async () => null });
}

interface TakenRow extends DeviceHour {
  readonly is_frozen: boolean;
}

/** Counts the device-hours that the log names, batch by batch, until it is empty. */
export async function countChanges(
  { session, source, run, begin, update }: RefreshScene,
  id: string,
): Promise<Counted & { readonly skipped: number }> {
  let total = NOTHING;
  let skipped = 0;
  for (;;) {
    update(`Counting ${source.table.name}: ${total.counted} device-hours that changed`);
    await begin();
    const batch = await counting(session, source, run, async () => {
      const take = sqlStatement('aggregates/take_changes.sql', { source: id, limit: String(HOURS_A_BATCH) });
      const { rows } = await session.run<TakenRow>(take);
      const groups = groupByLeaf(
        rows.filter(({ is_frozen }) => !is_frozen),
        await readLeaves(session, source),
      );
      let counted = NOTHING;
      for (const { hours, span } of groups) {
        counted = sum(counted, await count(session, (moments) => countHours(source, hours, span, moments)));
      }
      return { counted, taken: rows.length, skipped: rows.filter(({ is_frozen }) => is_frozen).length };
    });
    total = sum(total, batch.counted);
    skipped += batch.skipped;
    if (batch.taken < HOURS_A_BATCH) return { ...total, skipped };
  }
}

/** Counts all from an hour on: what is written there stands in no log. */
export async function countOpen({ session, source, run }: RefreshScene, hour: number): Promise<Counted> {
  const from = formatHour(hour);
  const { isEmpty, leaves } = await reading(session, async () => ({
    isEmpty: await nothingFrom(session, source, from),
    leaves: await readLeaves(session, source),
  }));
  let total = NOTHING;
  for (const span of isEmpty ? [] : openSpans(from, leaves)) {
    const counted = await counting(session, source, run, () =>
      count(session, (moments) => countRange(source, span, moments)),
    );
    total = sum(total, counted);
  }
  return total;
}

/** Tells whether there are neither readings nor aggregates from an instant on. */
async function nothingFrom(session: Session, source: Source, from: string): Promise<boolean> {
  const { table, aggregatesQualified } = source;
  const { rows } = await session.run<{ found: boolean }>(
    `select exists (select from ${table.qualified} r where r."timestamp" >= ${quoteLiteral(from)})
         or exists (select from ${aggregatesQualified} a where a.hour >= ${quoteLiteral(from)}) as found`,
  );
  return rows[0]?.found !== true;
}
