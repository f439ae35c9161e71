import { prettyBytes } from '../../partitions/pretty-bytes.ts';
import { bar, type Figure, label, WIDTH } from './figure.ts';
import type { Markup } from './markup.ts';
import type { PicturedIndex, PicturedTable } from './pictures.ts';

const ROW = 30;
const NAMES = 330;
const NUMBERS = 230;

/** Draws how often each index is scanned, over all partitions, and what it takes. */
export function drawIndexUse({ indexes }: PicturedTable): Figure {
  const most = Math.max(1, ...indexes.map(({ scans }) => scans));
  const free = indexes.filter(({ enforces }) => !enforces);
  const unused = free.filter(({ scans }) => scans === 0).length;
  return {
    title: 'Index use',
    summary:
      unused === 0
        ? 'Every index that enforces nothing was scanned since the statistics were reset.'
        : `Of ${free.length} that enforce nothing, not scanned since the statistics were reset: ${unused}.`,
    height: Math.max(1, indexes.length) * ROW + 4,
    shapes: indexes.flatMap((index, at) => line(index, at, most)),
    legend: [],
    columns: ['index', 'method', 'scans', 'size'],
    rows: indexes.map(({ name, method, scans, bytes }) => [
      name,
      method,
      scans.toLocaleString('en-US'),
      bytes === null ? 'a partition is locked' : prettyBytes(bytes),
    ]),
  };
}

const LONGEST_NAME = 44;

function line(
  { name, method, enforces, scans, bytes }: PicturedIndex,
  at: number,
  most: number,
): readonly Markup[] {
  const y = at * ROW;
  const shown = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;
  const room = WIDTH - NAMES - NUMBERS;
  const count = `${scans.toLocaleString('en-US')} ${scans === 1 ? 'scan' : 'scans'}`;
  const text = `${count}, ${bytes === null ? 'size unknown' : prettyBytes(bytes)}`;
  // By its logarithm: a query a second must not make one an hour look like none.
  const width = scans === 0 ? 0 : Math.max(2, (Math.log1p(scans) / Math.log1p(most)) * room);
  return [
    label(`${shown} (${enforces ? 'unique' : method})`, { x: 0, y: y + 19 }),
    bar('track', { x: NAMES, y: y + 6, width: room, height: 18 }, `${name}: ${text}`),
    bar('used', { x: NAMES, y: y + 6, width, height: 18 }, `${name}: ${text}`),
    label(text, { x: WIDTH, y: y + 19 }, 'end'),
  ];
}
