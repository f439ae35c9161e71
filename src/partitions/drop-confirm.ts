import type { PreparedDrop } from './drop.ts';
import { prettyBytes } from './pretty-bytes.ts';

const NAMES_SHOWN = 3;

/** Makes the question whether to drop the leaves of a plan: how many, how much, and the first names. */
export function dropQuestion({ table, work }: PreparedDrop): string {
  const names = work.map(({ leaf }) => leaf.name);
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  const others = names.length - NAMES_SHOWN;
  const more = others > 0 ? ` and ${others} more` : '';
  const below = work.reduce((sum, piece) => sum + piece.below.length, 0);
  const withBelow = below === 0 ? '' : ` with the ${below === 1 ? 'partition' : `${below} partitions`} below`;
  const what = names.length === 1 ? 'this leaf' : `these ${names.length} leaves`;
  return `Drop ${what} of ${table.qualified}${withBelow}, ${describeSize(work)}: ${shown}${more}?`;
}

function describeSize(work: PreparedDrop['work']): string {
  const rows = work.map(({ leaf }) => leaf.rowsEstimate);
  const known = rows.filter((count) => count !== null).reduce((sum, count) => sum + count, 0);
  const unknown = rows.filter((count) => count === null).length;
  const never = unknown === 0 ? '' : ` and ${unknown} never analyzed`;
  return `about ${known.toLocaleString('en')} rows${never}, ${prettyBytes(freedBytes(work))}`;
}

/** Adds up what dropping leaves frees, as far as it is known. */
export function freedBytes(work: PreparedDrop['work']): number {
  return work.reduce((sum, { leaf }) => sum + (leaf.bytes ?? 0), 0);
}
