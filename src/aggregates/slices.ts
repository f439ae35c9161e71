import { BEGINNING, END, fromCivil, type Instant, type Range } from '../time/instant.ts';
import { floorHour, HOUR } from './hours.ts';
import { EARLIEST, type ReadingsLeaf } from './leaves.ts';

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

// From one instant to another further than 292,271 years away date_bin fails (22008): nobody's data, but a clock's.
const FAR: Instant = fromCivil(200_000, 1, 1);

/** The most leaves that one piece reaches into: each takes a lock, and so does each of its indexes. */
const LEAVES_A_PIECE = 100;

/**
 * Chooses where to split a pending range so that each piece has about so many rows, and lies in few leaves; pure.
 *
 * Pieces are whole hours. Rows are taken to be spread evenly over a leaf, within the range. `ends` are edges besides.
 */
export function chooseEdges(
  range: Range,
  weights: readonly Weight[],
  rowsAPiece: number,
  ends: readonly Instant[],
): readonly Instant[] {
  const edges = new Set<Instant>([EARLIEST, FAR, ...ends]);
  let [filled, leaves] = [0, 0];
  const cut = (at: Instant): void => {
    edges.add(floorHour(at));
    [filled, leaves] = [0, 0];
  };
  for (const { range: leaf, rows: all } of weights) {
    const common = intersect(leaf, range);
    if (common === null) continue;
    const rows = all * share(common, leaf);
    if (leaves > 0 && (filled + rows > rowsAPiece || leaves === LEAVES_A_PIECE)) cut(common.lower);
    filled += rows;
    leaves += 1;
    if (common.lower === BEGINNING || common.upper === END) continue;
    const pieces = Math.ceil(rows / rowsAPiece);
    const hours = (common.upper - common.lower) / HOUR;
    for (let piece = 1; piece < pieces; piece += 1) {
      cut(common.lower + ((hours * BigInt(piece)) / BigInt(pieces)) * HOUR);
      [filled, leaves] = [rows / pieces, 1];
    }
  }
  return [...edges]
    .filter((edge) => edge > range.lower && edge < range.upper)
    .sort((a, b) => (a < b ? -1 : 1));
}

/** Estimates the rows of a range; pure. */
export function estimateRows(range: Range, weights: readonly Weight[]): number {
  return weights.reduce((total, { range: leaf, rows }) => {
    const common = intersect(leaf, range);
    return common === null ? total : total + rows * share(common, leaf);
  }, 0);
}

function intersect(a: Range, b: Range): Range | null {
  const lower = a.lower > b.lower ? a.lower : b.lower;
  const upper = a.upper < b.upper ? a.upper : b.upper;
  return lower < upper ? { lower, upper } : null;
}

/** Of a leaf without a bound nothing is known but that all its rows may lie in the part. */
function share(part: Range, leaf: Range): number {
  if (leaf.lower === BEGINNING || leaf.upper === END) return 1;
  return Number(part.upper - part.lower) / Number(leaf.upper - leaf.lower);
}
