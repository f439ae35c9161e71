import type { PartitionedTable } from '../../src/db/catalog.ts';
import type { Leaf } from '../../src/partitions/read.ts';
import { BEGINNING, END, type Instant, parseInstant } from '../../src/time/instant.ts';

/** Reads an instant of a test; `min` and `max` are no bound. */
export function at(text: string): Instant {
  if (text === 'min') return BEGINNING;
  if (text === 'max') return END;
  const instant = parseInstant(text);
  if (instant === null) throw new Error(`${text} is no instant.`);
  return instant;
}

/** Makes a leaf of the table `t`. */
export function leaf(name: string, lower: string, upper: string, more: Partial<Leaf> = {}): Leaf {
  const range = { lower: at(lower), upper: at(upper) };
  return { oid: 1, schema: 'public', name, range, isPlain: true, state: 'attached', ...more };
}

/** The table `t` of pure tests. */
export const TABLE: PartitionedTable = {
  oid: 1,
  schema: 'public',
  name: 't',
  qualified: 'public.t',
  key: 'at',
  keyType: 'timestamptz',
  owner: 'postgres',
};
