import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { END, type Range } from '../time/instant.ts';
import { type Reason, readVerifiable, type UncheckedRange } from './hour-ranges.ts';
import { readLeaves } from './leaves.ts';
import { weightsOf } from './slices.ts';
import type { Source } from './source.ts';
import { planSlices, type Slice, type VerifyPlan } from './verify-plan.ts';
import type { MismatchRow } from './verify-query.ts';
import type { VerifyRequest } from './verify-request.ts';
import { compareSlice } from './verify-slice.ts';

/** What a verification came to. */
export interface Verification {
  /** Device-hours that were compared. */
  readonly checkedHours: number;
  /** Readings that they were counted from. */
  readonly readings: number;
  /** Device-hours that were not, and why: those that have an aggregate, and those that the log of changes names. */
  readonly uncheckedHours: Readonly<Record<Reason, number>>;
  readonly uncheckedRanges: readonly UncheckedRange[];
  /** Ranges of which a leaf was locked all the time. */
  readonly lockedRanges: readonly Range[];
  readonly mismatchCount: number;
  /** The first of them, up to the limit. */
  readonly mismatches: readonly MismatchRow[];
  readonly drawn: VerifyPlan['drawn'];
}

/** The most mismatches that are listed; all are counted. */
export const MOST_MISMATCHES = 10_000;

/** Compares the aggregates with the readings, slice by slice, each in a transaction of its own; changes nothing. */
export async function verify(
  session: Session,
  source: Source,
  { range, sample, tolerance }: VerifyRequest,
  update: (text: string) => void,
): Promise<Verification> {
  const { id, settled, unchecked, uncheckedHours } = await readVerifiable(session, source, range);
  const weights = weightsOf(await reading(session, () => readLeaves(session, source)), END);
  const { slices, drawn } = planSlices(settled, weights, sample);
  const progress = createProgress(source, slices, update);
  const hours = { dirty: 0, pending: 0, changedLeaf: 0, open: 0, retired: 0, ...uncheckedHours };
  const [mismatches, lockedRanges]: [MismatchRow[], Range[]] = [[], []];
  const scene = { session, source, id, tolerance, known: {} };
  let [checkedHours, readings, mismatchCount] = [0, 0, 0];
  for (const slice of slices) {
    const room = MOST_MISMATCHES - mismatches.length;
    const { counts, locked, ...result } = await compareSlice(scene, slice, room);
    const { right = 0, extra = 0, missing = 0, wrong = 0, dirty = 0, changedLeaf = 0, retired = 0 } = counts;
    if (locked) lockedRanges.push(slice.range);
    checkedHours += right + extra + missing + wrong;
    mismatchCount += extra + missing + wrong;
    readings += result.readings;
    mismatches.push(...result.mismatches.slice(0, room));
    hours.dirty += dirty;
    hours.changedLeaf += changedLeaf;
    hours.retired += retired;
    progress(slice, readings);
  }
  const found = { mismatchCount, mismatches, lockedRanges, drawn };
  return { checkedHours, readings, uncheckedHours: hours, uncheckedRanges: unchecked, ...found };
}

/** Makes the function that is told of each slice that is done, and tells the user how far it is. */
function createProgress(
  { table }: Source,
  slices: readonly Slice[],
  update: (text: string) => void,
): (slice: Slice, readings: number) => void {
  // A slice without statistics counts for one row, so that there is a share at all.
  const weight = ({ rowsEstimate }: Slice): number => Math.max(1, rowsEstimate);
  const all = slices.reduce((total, slice) => total + weight(slice), 0);
  const start = performance.now();
  let [done, share] = [0, 0];
  update(`Verifying ${table.name}: ${slices.length} slices`);
  return (slice, readings) => {
    done += 1;
    share += weight(slice) / all;
    const seconds = (performance.now() - start) / 1000;
    const left = Math.ceil((seconds * (1 - share)) / share);
    const n = (value: number): string => Math.round(value).toLocaleString('en-US');
    update(
      `Verifying ${table.name}: slice ${done} of ${slices.length}, ${n(readings)} readings, ${n(readings / seconds)} a second, ${left} s left`,
    );
  };
}
