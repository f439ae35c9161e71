import { BEGINNING, END, type Instant, type Range } from '../time/instant.ts';
import { ceilHour, floorHour, HOUR } from './hours.ts';
import { EARLIEST } from './leaves.ts';
import { chooseEdges, estimateRows, type Weight } from './slices.ts';
import type { Sample } from './verify-request.ts';

/** Whole hours that are compared in one transaction. */
export interface Slice {
  readonly range: Range;
  /** What the statistics say; for progress alone. */
  readonly rowsEstimate: number;
}

/** What is compared, slice by slice. */
export interface VerifyPlan {
  readonly slices: readonly Slice[];
  /** Of how many pieces of time the sample was drawn, and how many were; null without a sample. */
  readonly drawn: { readonly of: number; readonly pieces: number } | null;
}

/** How many readings one slice has, by estimate: it is read, and its leaves are locked in ACCESS SHARE, for a second or so. */
const ROWS_A_SLICE = 500_000;

/** A sample is drawn of so many pieces of time at most: each that is drawn costs a transaction. */
const MOST_PIECES = 2000;

/** Splits what is to be compared into slices, in the order of time; pure. */
export function planSlices(
  settled: readonly Range[],
  weights: readonly Weight[],
  sample: Sample | null,
  rowsASlice = ROWS_A_SLICE,
): VerifyPlan {
  const withRows = (range: Range): Slice => ({ range, rowsEstimate: estimateRows(range, weights) });
  const ends = sample === null ? [] : edgesOfCoverage(weights);
  const ranges = settled.flatMap((range) => cut(range, chooseEdges(range, weights, rowsASlice, ends)));
  if (sample === null || sample.share === 1) return { slices: ranges.map(withRows), drawn: null };
  const pieces = splitEvenly(ranges);
  const chosen = draw(pieces, sample);
  return {
    slices: joinNeighbours(chosen, rowsASlice, weights).map(withRows),
    drawn: { of: pieces.length, pieces: chosen.length },
  };
}

function cut(range: Range, edges: readonly Instant[]): readonly Range[] {
  const all = [range.lower, ...edges, range.upper];
  return all.slice(1).map((upper, at) => ({ lower: all[at] as Instant, upper }));
}

/** Between leaves, and beside them, is no time that could be sampled by the hour: who knows how much of it there is. */
function edgesOfCoverage(weights: readonly Weight[]): readonly Instant[] {
  const lowers = new Set(weights.map(({ range }) => range.lower));
  const uppers = new Set(weights.map(({ range }) => range.upper));
  const isEdge = (instant: Instant): boolean => instant !== BEGINNING && instant !== END;
  return [
    ...[...lowers].filter((lower) => isEdge(lower) && !uppers.has(lower)).map(floorHour),
    ...[...uppers].filter((upper) => isEdge(upper) && !lowers.has(upper)).map(ceilHour),
  ];
}

/** No table holds readings of more hours: a longer range is a gap, or a leaf without much in it, and one piece. */
const LONGEST = 24n * 366n * 30n * HOUR;

function splitEvenly(ranges: readonly Range[]): readonly Range[] {
  const isShort = ({ lower, upper }: Range): boolean => lower >= EARLIEST && upper - lower <= LONGEST;
  const hours = ranges.filter(isShort).reduce((sum, { lower, upper }) => sum + (upper - lower) / HOUR, 0n);
  const step = (hours / BigInt(MOST_PIECES) + 1n) * HOUR;
  return ranges.flatMap((range) => {
    if (!isShort(range)) return [range];
    const edges: Instant[] = [];
    for (let edge = range.lower + step; edge < range.upper; edge += step) edges.push(edge);
    return cut(range, edges);
  });
}

/** Draws the share of the pieces, rounded up; the same ones for the same seed and pieces. */
function draw(pieces: readonly Range[], { share, seed }: Sample): readonly Range[] {
  const wanted = Math.ceil(pieces.length * share);
  return pieces
    .map((piece) => ({ piece, lot: lotOf(Number(BigInt.asIntN(64, piece.lower / HOUR)), seed) }))
    .sort((a, b) => a.lot - b.lot)
    .slice(0, wanted)
    .map(({ piece }) => piece)
    .sort((a, b) => (a.lower < b.lower ? -1 : 1));
}

/** Mixes an hour with the seed, as MurmurHash3 ends: neighbours get lots that have nothing to do with each other. */
function lotOf(hour: number, seed: number): number {
  let h = Math.imul(hour | 0, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca77);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function joinNeighbours(
  pieces: readonly Range[],
  rowsASlice: number,
  weights: readonly Weight[],
): readonly Range[] {
  const joined: Range[] = [];
  for (const piece of pieces) {
    const before = joined.at(-1);
    const both = before === undefined ? null : { lower: before.lower, upper: piece.upper };
    const fits = both !== null && before?.upper === piece.lower && estimateRows(both, weights) <= rowsASlice;
    if (both !== null && fits && both.upper - both.lower <= 24n * HOUR) joined[joined.length - 1] = both;
    else joined.push(piece);
  }
  return joined;
}
