import { failure } from '../cli/errors.ts';
import { BEGINNING, END, parseInstant, type Range } from '../time/instant.ts';

/** What a partition covers: a range of its key, or whatever no other partition does. */
export type PartitionBound = { readonly kind: 'range'; readonly range: Range } | { readonly kind: 'default' };

const RANGE = /^FOR VALUES FROM \((.+)\) TO \((.+)\)$/;

/**
 * Reads a bound as `pg_get_expr(relpartbound, 0)` prints it under TimeZone UTC and DateStyle ISO.
 *
 * MINVALUE and -infinity become BEGINNING, MAXVALUE and infinity END.
 */
export function parseBound(text: string, partition: string): PartitionBound {
  if (text === 'DEFAULT') return { kind: 'default' };
  const match = RANGE.exec(text);
  const lower = match === null ? null : parseEnd(match[1] ?? '');
  const upper = match === null ? null : parseEnd(match[2] ?? '');
  if (lower === null || upper === null) {
    throw failure('unreadable_bound', `The bound of ${partition} cannot be read: ${text}.`, {
      object: partition,
      hint: 'This is a defect of sensordb: report it with the text above.',
    });
  }
  return { kind: 'range', range: { lower, upper } };
}

function parseEnd(text: string): bigint | null {
  if (text === 'MINVALUE') return BEGINNING;
  if (text === 'MAXVALUE') return END;
  return parseInstant(text.replace(/^'(.*)'$/, '$1'));
}
