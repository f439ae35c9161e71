import { failure } from '../cli/errors.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import { BEGINNING, END, formatBound, type Instant, type Range } from '../time/instant.ts';

// Statements whose bounds may be MINVALUE or MAXVALUE, which no placeholder of an SQL file can hold.

const BOUND = /^FOR VALUES FROM \((?:MINVALUE|'([^']*)')\) TO \((?:MAXVALUE|'([^']*)')\)$/;

/** Takes the literals out of a bound as PostgreSQL prints it; undefined stands for MINVALUE and MAXVALUE. */
function literalsOf(bound: string): {
  readonly lower: string | undefined;
  readonly upper: string | undefined;
} {
  const match = BOUND.exec(bound);
  if (match !== null) return { lower: match[1], upper: match[2] };
  throw failure('unreadable_bound', `The bound of a leaf cannot be read: ${bound}.`, {
    hint: 'This is a defect of sensordb: report it with the text above.',
  });
}

/** Spells a bound as PostgreSQL prints it under TimeZone UTC and DateStyle ISO. */
export function boundText({ lower, upper }: Range, table: Pick<PartitionedTable, 'keyType'>): string {
  const end = (instant: Instant): string => quoteLiteral(formatBound(instant, table.keyType));
  const from = lower === BEGINNING ? 'MINVALUE' : end(lower);
  const to = upper === END ? 'MAXVALUE' : end(upper);
  return `FOR VALUES FROM (${from}) TO (${to})`;
}

/**
 * Spells the CHECK on the bounds of a leaf, the way PostgreSQL makes it in DETACH CONCURRENTLY: ATTACH then scans nothing.
 *
 * NOT VALID: it holds for new rows at once, and the lock (ACCESS EXCLUSIVE on the leaf) is held for a moment only.
 */
export function addCheck(leaf: string, table: PartitionedTable, bound: string, name: string): string {
  const key = quoteIdentifier(table.key);
  const { lower, upper } = literalsOf(bound);
  const terms = [
    `${key} is not null`,
    ...(lower === undefined ? [] : [`${key} >= ${quoteLiteral(lower)}`]),
    ...(upper === undefined ? [] : [`${key} < ${quoteLiteral(upper)}`]),
  ];
  return `alter table ${leaf} add constraint ${quoteIdentifier(name)} check (${terms.join(' and ')}) not valid`;
}

/** Spells ATTACH with a bound as PostgreSQL prints it. */
export function attachWithBound(
  table: PartitionedTable,
  leaf: { readonly schema: string; readonly name: string },
  bound: string,
): string {
  literalsOf(bound); // It comes out of a table that others may write.
  return `alter table ${table.qualified} attach partition ${qualifiedName(leaf.schema, leaf.name)} ${bound.replace(/^FOR VALUES FROM (.*) TO (.*)$/, 'for values from $1 to $2')}`;
}
