import { prettyBytes } from '../../partitions/pretty-bytes.ts';
import { bar, type Figure, label, WIDTH } from './figure.ts';
import type { PicturedLeaf, PicturedTable } from './pictures.ts';

const HEIGHT = 120;
const TOP = 16;

/** More bars than that are narrower than a line: neighbours share one. */
const MOST_BARS = 240;

/** Draws how large the partitions are, rows and indexes apart. */
export function drawSizes({ leaves }: PicturedTable): Figure {
  const groups = inGroups(leaves);
  const largest = Math.max(1, ...groups.map(({ table, index }) => table + index));
  const step = WIDTH / groups.length;
  const width = Math.max(1, Math.min(60, step - 2));
  const scaled = (bytes: number): number => (bytes / largest) * HEIGHT;
  const total = groups.reduce((sum, { table, index }) => sum + table + index, 0);
  const locked = leaves.filter(({ tableBytes }) => tableBytes === null).length;
  return {
    title: 'Size',
    summary: `${prettyBytes(total)} in ${leaves.length} partitions${locked === 0 ? '' : `, without ${locked} that somebody has locked`}.`,
    height: TOP + HEIGHT + 20,
    shapes: [
      ...groups.flatMap(({ name, table, index }, at) => {
        const x = at * step + (step - width) / 2;
        const [rows, indexes] = [scaled(table), scaled(index)];
        const text = `${name}: rows ${prettyBytes(table)}, indexes ${prettyBytes(index)}`;
        return [
          bar('rows', { x, y: TOP + HEIGHT - rows, width, height: rows }, text),
          bar('indexes', { x, y: TOP + HEIGHT - rows - indexes, width, height: indexes }, text),
        ];
      }),
      label(prettyBytes(largest), { x: 0, y: 11 }),
      label(groups[0]?.name ?? '', { x: 0, y: TOP + HEIGHT + 15 }),
      label(groups.length > 1 ? (groups.at(-1)?.name ?? '') : '', { x: WIDTH, y: TOP + HEIGHT + 15 }, 'end'),
    ],
    legend: [
      { className: 'rows', text: 'rows' },
      { className: 'indexes', text: 'indexes' },
    ],
    columns: ['partition', 'rows (est.)', 'rows, size', 'indexes, size'],
    rows: leaves.map(({ name, rows, tableBytes, indexBytes }) => [
      name,
      rows === null ? 'never analyzed' : rows.toLocaleString('en-US'),
      tableBytes === null ? 'locked' : prettyBytes(tableBytes),
      indexBytes === null ? 'locked' : prettyBytes(indexBytes),
    ]),
  };
}

interface Group {
  readonly name: string;
  readonly table: number;
  readonly index: number;
}

function inGroups(leaves: readonly PicturedLeaf[]): readonly Group[] {
  const each = Math.max(1, Math.ceil(leaves.length / MOST_BARS));
  return Array.from({ length: Math.ceil(leaves.length / each) }, (_, at) => {
    const group = leaves.slice(at * each, (at + 1) * each);
    const [first, last] = [group[0]?.name ?? '', group.at(-1)?.name ?? ''];
    return {
      name: each === 1 ? first : `${first} to ${last}`,
      table: group.reduce((sum, { tableBytes }) => sum + (tableBytes ?? 0), 0),
      index: group.reduce((sum, { indexBytes }) => sum + (indexBytes ?? 0), 0),
    };
  });
}
