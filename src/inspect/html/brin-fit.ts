import { bar, type Figure, label, WIDTH } from './figure.ts';
import type { PicturedLeaf, PicturedTable } from './pictures.ts';

const TOP = 4;
const HEIGHT = 26;

/** Below it a BRIN index finds much of the table for each instant; between it and 1 is a grey zone. */
const GOOD = 0.95;
const POOR = 0.5;
/** One page: whatever the order of its rows, an index can only say to read it. */
const LEAST_BYTES = 8192;

/** Draws how well a BRIN index can work on each partition: by how far its rows lie in the order of their times. */
export function drawBrinFit({ key, leaves }: PicturedTable): Figure {
  const step = WIDTH / Math.max(1, leaves.length);
  const count = (className: string): number => leaves.filter((leaf) => fitOf(leaf) === className).length;
  return {
    title: 'BRIN fit',
    summary: `Rows lie in the order of ${key} in ${count('good')} of ${leaves.length} partitions; in ${count('poor')} they do not.`,
    height: TOP + HEIGHT + 20,
    shapes: [
      ...leaves.map((leaf, at) =>
        bar(
          fitOf(leaf),
          { x: at * step, y: TOP, width: Math.max(0.5, step - 1), height: HEIGHT },
          `${leaf.name}: ${describe(leaf)}`,
        ),
      ),
      label(leaves[0]?.name ?? '', { x: 0, y: TOP + HEIGHT + 15 }),
      label(leaves.length > 1 ? (leaves.at(-1)?.name ?? '') : '', { x: WIDTH, y: TOP + HEIGHT + 15 }, 'end'),
    ],
    legend: [
      { className: 'good', text: `correlation ${GOOD} and more` },
      { className: 'fair', text: `${POOR} to ${GOOD}` },
      { className: 'poor', text: `below ${POOR}` },
      { className: 'none', text: 'no statistics, or one page at most' },
    ],
    columns: ['partition', 'correlation'],
    rows: leaves.map((leaf) => [leaf.name, describe(leaf)]),
  };
}

function fitOf({ correlation, tableBytes }: PicturedLeaf): 'good' | 'fair' | 'poor' | 'none' {
  if (correlation === null || (tableBytes !== null && tableBytes <= LEAST_BYTES)) return 'none';
  const strength = Math.abs(correlation);
  if (strength >= GOOD) return 'good';
  return strength >= POOR ? 'fair' : 'poor';
}

const describe = ({ correlation }: PicturedLeaf): string =>
  correlation === null ? 'no statistics' : correlation.toFixed(3);
