import type { Style } from '../cli/style.ts';
import { formatInstantShort, type Instant, type Range } from '../time/instant.ts';
import { isBounded, overlaps } from './coverage.ts';

/** What a cell of the picture shows. */
type Cell = 'past' | 'now' | 'future' | 'gap' | 'pending' | 'lost';

const UNICODE: Readonly<Record<Cell, string>> = {
  past: '▒',
  now: '┃',
  future: '█',
  gap: '·',
  pending: '!',
  lost: '╳',
};
const ASCII: Readonly<Record<Cell, string>> = {
  past: '-',
  now: '|',
  future: '=',
  gap: '.',
  pending: '!',
  lost: 'X',
};

const CELLS = ['past', 'now', 'lost', 'future', 'gap', 'pending'] as const;
const MEANINGS: Readonly<Partial<Record<Cell, string>>> = {
  lost: 'now, in a gap',
  pending: 'detach pending',
};

const MOST_CELLS = 64;

/**
 * Draws the coverage as one line of cells, from the first bound to the last or to now, whichever is later.
 *
 * A cell of which any part is uncovered shows a gap: a hole of one day in a year must not vanish in a cell of six.
 */
export function drawCoverage(
  style: Style,
  covered: readonly Range[],
  pending: readonly Range[],
  now: Instant,
): string {
  const ends = [...covered, ...pending].filter(isBounded).flatMap(({ lower, upper }) => [lower, upper]);
  const all = [...ends, now].toSorted((a, b) => (a < b ? -1 : 1));
  const [first, last] = [all[0] as Instant, all.at(-1) as Instant];
  if (ends.length === 0 || first === last) return '';
  const count = Math.max(10, Math.min(MOST_CELLS, style.columns - 30));
  const glyphs = style.unicode ? UNICODE : ASCII;
  const edge = (index: number): Instant => first + ((last - first) * BigInt(index)) / BigInt(count);
  const cells = Array.from({ length: count }, (_, index) => {
    const isLast = index === count - 1;
    return judge({ lower: edge(index), upper: edge(index + 1) }, isLast, covered, pending, now);
  });
  const line = cells.map((cell) => paint(style, cell, glyphs[cell])).join('');
  const legend = CELLS.filter((cell) => cells.includes(cell))
    .map((cell) => `${glyphs[cell]} ${MEANINGS[cell] ?? cell}`)
    .join('  ');
  return `${formatInstantShort(first).slice(0, 10)} ${line} ${formatInstantShort(last).slice(0, 10)}  ${style.chalk.dim(legend)}\n`;
}

function judge(
  cell: Range,
  isLast: boolean,
  covered: readonly Range[],
  pending: readonly Range[],
  now: Instant,
): Cell {
  const isNow = cell.lower <= now && (now < cell.upper || (isLast && now === cell.upper));
  if (isNow) return isCovered(cell, covered) ? 'now' : 'lost';
  if (pending.some((range) => overlaps(range, cell))) return 'pending';
  if (!isCovered(cell, covered)) return 'gap';
  return cell.upper <= now ? 'past' : 'future';
}

function isCovered(cell: Range, covered: readonly Range[]): boolean {
  let from = cell.lower;
  // `covered` is in ascending order, as it comes from the catalog.
  for (const { lower, upper } of covered) {
    if (lower > from) break;
    if (upper > from) from = upper;
    if (from >= cell.upper) return true;
  }
  return false;
}

function paint({ chalk }: Style, cell: Cell, glyph: string): string {
  switch (cell) {
    case 'past':
      return chalk.dim(glyph);
    case 'now':
      return chalk.bold(glyph);
    case 'future':
      return chalk.green(glyph);
    default:
      return chalk.red(glyph);
  }
}
