import { sqlStatement } from '../db/sql-files.ts';
import type { Member, Statement } from './drift.ts';
import type { IndexName } from './repair-read-indexes.ts';

/** Makes the statement that fails unless a name still is that of the partition, or table, of the plan. */
export function guardMember({ oid, schema, name, parentOid }: Member): Statement {
  const values = { schema, leaf: name, leaf_oid: String(oid), parent_oid: String(parentOid) };
  return { sql: sqlStatement('partitions/guard_member.sql', values), locks: [] };
}

/** Makes the statement that fails unless an index of that name is one of the partition of the plan. */
export function guardIndex({ oid, name: leaf }: Member, { schema, name: index }: IndexName): Statement {
  const values = { schema, index, leaf, leaf_oid: String(oid) };
  return { sql: sqlStatement('partitions/guard_member_index.sql', values), locks: [] };
}

/**
 * Puts the statements of one transaction between two guards, for they go by name.
 *
 * The first keeps them from waiting for a stranger's lock. Only the last one is sure: what a statement has altered can be
 * renamed by nobody until the transaction ends (GRANT before 18 takes no lock, but its row in pg_class is as good as one).
 */
export function guarded(member: Member, statements: readonly Statement[]): readonly Statement[] {
  const guard = guardMember(member);
  return [guard, ...statements, guard];
}
