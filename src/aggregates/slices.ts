import { BEGINNING, END, fromCivil, type Instant, type Range } from '../time/instant.ts';
import type { ReadingsLeaf } from './leaves.ts';

/** A partition with what the statistics say of its rows. */
export interface Weight {
  readonly range: Range;
  /** Estimated rows; 0 when it was never analyzed and is empty. */
  readonly rows: number;
}

/** Takes the rows of each leaf to lie before an instant: one that reaches into the future is filled up to now. */
export function weightsOf(leaves: readonly ReadingsLeaf[], until: Instant): readonly Weight[] {
  return leaves.flatMap(({ range, rows }) => {
    if (range === null || range.lower >= until) return [];
    return [{ range: { lower: range.lower, upper: range.upper < until ? range.upper : until }, rows }];
  });
}

const HOUR = 3_600_000_000n;

/** The earliest timestamptz of PostgreSQL, 4714-11-24 BC. */
const EARLIEST: Instant = fromCivil(-4713, 11, 24);
// From one instant to another further than 292,271 years away date_bin fails (22008): nobody's data, but a clock's.
const FAR: Instant = fromCivil(200_000, 1, 1);

/**
 * Chooses where to split a pending range so that each piece has about so many rows; pure.
 *
 * Pieces are whole hours. Rows are taken to be spread evenly over a leaf, within the range.
 */
export function chooseEdges(
  range: Range,
  weights: readonly Weight[],
  rowsAPiece: number,
): readonly Instant[] {
  const edges = new Set<Instant>([EARLIEST, FAR]);
  for (const { range: leaf, rows } of weights) {
    const lower = leaf.lower > range.lower ? leaf.lower : range.lower;
    const upper = leaf.upper < range.upper ? leaf.upper : range.upper;
    if (lower >= upper || lower === BEGINNING || upper === END) continue;
    edges.add(floorHour(lower));
    edges.add(floorHour(upper));
    const share = Number(upper - lower) / Number(leaf.upper - leaf.lower);
    const pieces = Math.ceil((rows * (Number.isFinite(share) ? share : 1)) / rowsAPiece);
    const hours = (upper - lower) / HOUR;
    for (let piece = 1; piece < pieces; piece += 1) {
      edges.add(floorHour(lower + ((hours * BigInt(piece)) / BigInt(pieces)) * HOUR));
    }
  }
  return [...edges]
    .filter((edge) => edge > range.lower && edge < range.upper)
    .sort((a, b) => (a < b ? -1 : 1));
}

function floorHour(instant: Instant): Instant {
  const rest = ((instant % HOUR) + HOUR) % HOUR;
  return instant - rest;
}
