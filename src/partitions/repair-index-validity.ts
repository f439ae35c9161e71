import { type Drift, type Member, refusing } from './drift.ts';
import { addJob, type IndexState, indexDrift, indexKey } from './repair-index-state.ts';
import { attachIndex, makeJob, type ParentIndex } from './repair-jobs.ts';
import type { AttachedIndex, TableIndex } from './repair-read-indexes.ts';

/** Makes an index of the table valid whose leaves all have theirs: the one that lacked it is gone, for example. */
export function validateTable(state: IndexState, index: TableIndex, parent: ParentIndex): void {
  const { table, members, lacking } = state;
  const drift = { ...indexDrift(tableAsMember(state), index, 'invalid'), expected: 'valid' };
  if (members.some(({ kind }) => kind === 'foreign')) {
    const refusal = {
      reason: 'foreign_leaf',
      message: `Index ${index.name} of ${table.qualified} cannot become valid: a foreign table among its leaves can have no index.`,
      hint: `Drop it and make it with CREATE INDEX ON ${table.qualified}, which passes over foreign tables, but holds up writers while it builds.`,
    };
    state.refusals.push(refusing(tableAsMember(state), drift, refusal));
  } else if (!lacking.some(({ root }) => root === index.oid)) {
    revalidate(state, tableAsMember(state), drift, parent, index.child, index.oid);
  }
}

/** Attaches one of an index's own again: then PostgreSQL looks whether all of them are valid (measured on 14.23 and 18.4). */
export function revalidate(
  state: IndexState,
  member: Member,
  drift: Drift,
  own: ParentIndex,
  child: AttachedIndex | null,
  oid: number,
): void {
  if (child === null) return; // It has no leaves: nobody asks it for a row.
  addJob(state, makeJob(member, [drift], [[attachIndex(child, child.relation, own)]], { validates: oid }));
}

/** Refuses what can be attached in no way. */
export function refuseExclusion(state: IndexState, member: Member, index: TableIndex): void {
  if (!state.lackingAt.has(indexKey(member, index.oid)) || member.kind === 'foreign') return;
  const refusal = {
    reason: 'exclusion_constraint',
    message: `${member.qualified} lacks the exclusion constraint ${index.name}, and PostgreSQL attaches none that was made aside.`,
    hint: `Drop it from ${state.table.qualified} and add it again there, which holds up writers while it builds.`,
  };
  state.refusals.push(refusing(member, indexDrift(member, index, 'missing'), refusal));
}

function tableAsMember({ table }: IndexState): Member {
  return {
    ...table,
    kind: 'partitioned',
    parentOid: 0,
    parentQualified: '',
    rowSecurity: false,
    forceRowSecurity: false,
    replicaIdentity: 'd',
    hasGrants: false,
    options: [],
    toastOptions: [],
    hasToast: false,
  };
}
