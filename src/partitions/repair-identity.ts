import { sqlStatement } from '../db/sql-files.ts';
import { altered, type Finding, type Member, onLeaf, refusing } from './drift.ts';
import type { LeafTemplate } from './leaf-template.ts';
import { type IndexPlan, indexKey } from './repair-index-state.ts';
import type { Job } from './repair-jobs.ts';
import type { IdentityFound } from './repair-read-index-state.ts';

/** A finding, and what has to be done before it can be mended. */
export interface Planned {
  readonly finding: Finding;
  readonly after: Job | null;
}

const IDENTITIES: Readonly<Record<string, { readonly word: string; readonly file: string }>> = {
  d: { word: 'primary key', file: 'replica_identity_default.sql' },
  n: { word: 'nothing', file: 'replica_identity_nothing.sql' },
  f: { word: 'full', file: 'replica_identity_full.sql' },
  i: { word: 'index', file: 'replica_identity_index.sql' },
};

/** Finds a leaf with another replica identity than the table; by an index it may have to wait for that index. */
export function compareIdentity(
  member: Member,
  found: IdentityFound | undefined,
  { replicaIdentity, indexes }: LeafTemplate,
  { planned }: IndexPlan,
): readonly Planned[] {
  const root = indexes.find(({ isReplicaIdentity }) => isReplicaIdentity);
  // The index that it named is gone: PostgreSQL then treats it as none.
  if (found === undefined || (replicaIdentity === 'i' && root === undefined)) return [];
  const byIndex = replicaIdentity === 'i' ? root : undefined;
  const { word, file } = IDENTITIES[replicaIdentity] as { word: string; file: string };
  const drift = {
    kind: 'replica_identity',
    what: 'replica identity',
    expected: byIndex === undefined ? word : `index ${byIndex.name}`,
    found: IDENTITIES[member.replicaIdentity]?.word ?? member.replicaIdentity,
  } as const;
  const target = { schema: member.schema, leaf: member.name };
  const coming = byIndex === undefined ? undefined : planned.get(indexKey(member, byIndex.oid));
  const index = coming?.name ?? found.index;
  if (byIndex !== undefined && index === null) {
    const finding = refusing(member, drift, {
      reason: 'index_missing',
      message: `${member.qualified} lacks the index that corresponds to ${byIndex.name}, its parent's replica identity.`,
      hint: 'Repair its indexes, too.',
    });
    return [{ finding, after: null }];
  }
  const statement = {
    sql: sqlStatement(
      `partitions/${file}`,
      byIndex === undefined ? target : { ...target, index: index ?? '' },
    ),
    locks: onLeaf(member, 'ACCESS EXCLUSIVE'),
  };
  return [{ finding: altered(member, drift, statement), after: coming?.job ?? null }];
}
