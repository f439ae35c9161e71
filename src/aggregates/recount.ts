import { sqlStatement } from '../db/sql-files.ts';
import type { Range } from '../time/instant.ts';
import { spellInstant } from './leaves.ts';

/** Makes the statement that puts a range on the list once more. */
export function recountStatement(id: string, { lower, upper }: Range): string {
  const values = { source: id, lower: spellInstant(lower), upper: spellInstant(upper) };
  return sqlStatement('aggregates/recount.sql', values);
}
