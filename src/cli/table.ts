import type { Style } from './style.ts';

/** A column of a table for the terminal. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Draws a table for a terminal; cells are text that may be coloured. */
export async function drawTable(
  style: Style,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: columns.map(({ title }) => style.chalk.bold(title)),
    colAligns: columns.map(({ align = 'left' }) => align),
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  table.push(...rows.map((row) => [...row]));
  const lines = table.toString().split('\n');
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

const ESCAPES: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r', '\\': '\\\\' };

/** Makes tab-separated lines, one a row; tabs and line ends inside a field are written as COPY writes them. */
export function tabSeparated(rows: readonly (readonly (string | number | null)[])[]): string {
  const field = (value: string | number | null): string =>
    value === null
      ? ''
      : String(value).replaceAll(/[\t\n\r\\]/g, (character) => ESCAPES[character] ?? character);
  return rows.map((row) => `${row.map(field).join('\t')}\n`).join('');
}

/** Makes a name fit for a terminal: control characters, which could move the cursor or recolour, are spelled out. */
export function printable(text: string): string {
  return text.replaceAll(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Makes a text of several lines fit for a terminal, line by line. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
