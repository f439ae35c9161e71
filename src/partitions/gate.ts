import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import type { Range } from '../time/instant.ts';
import { askReferencedRows } from './gate-references.ts';

/** Why a leaf is not detached or dropped, and what to do about it. */
export interface Refusal {
  readonly name: string;
  /** snake_case, stable: scripts match on it. */
  readonly reason: string;
  readonly message: string;
  readonly hint: string;
}

/** A refusal of a leaf that is told apart from others of its name, in other schemas. */
export interface LeafRefusal extends Refusal {
  readonly oid: number;
}

/** What is to be done with a leaf: some reasons hold for the one and not for the other. */
export type Purpose = 'detach' | 'drop';

/** What the gate has to know of a leaf; an attached one and a detached one both do. */
export interface Gated {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly range: Range;
}

/**
 * The reasons of the retention gate: each a query of `sql/partitions/` that gives a row for every reason to keep the leaf.
 *
 * It takes `:'leaf_oid'` and, where that matters, `:'purpose'`, and gives reason, message, remedy and object. It reads the
 * catalog alone, so that it can be asked again under the locks of a detach or drop. Others join by a line here.
 */
const GATE: readonly ((table: PartitionedTable, leaf: Gated, purpose: Purpose) => string)[] = [
  (_table, { oid }, purpose) =>
    sqlStatement('partitions/gate_foreign_keys.sql', { leaf_oid: String(oid), purpose }),
  (_table, { oid }) => sqlStatement('partitions/gate_views.sql', { leaf_oid: String(oid) }),
];

/** So many leaves are asked about in one query. */
const LEAVES_A_QUERY = 20;

/**
 * Asks the gate about leaves, before anything is changed; waits for no lock of the user's that it would not give up on.
 *
 * A leaf may be refused for several reasons; all of them are given.
 */
export async function askGate(
  session: Session,
  table: PartitionedTable,
  leaves: readonly Gated[],
  purpose: Purpose,
): Promise<readonly LeafRefusal[]> {
  const refusals: LeafRefusal[] = [];
  for (let at = 0; at < leaves.length; at += LEAVES_A_QUERY) {
    refusals.push(...(await askCatalog(session, table, leaves.slice(at, at + LEAVES_A_QUERY), purpose)));
  }
  // Of a leaf to be dropped the catalog alone says it: PostgreSQL asks for no rows there.
  if (purpose === 'detach') refusals.push(...(await askReferencedRows(session, table, leaves)));
  return refusals;
}

interface GateRow {
  readonly leaf: number;
  readonly reason: string;
  readonly message: string;
  readonly remedy: string;
}

async function askCatalog(
  session: Session,
  table: PartitionedTable,
  leaves: readonly Gated[],
  purpose: Purpose,
): Promise<readonly LeafRefusal[]> {
  const queries = leaves.flatMap((leaf, at) =>
    GATE.map((query) => `select ${at} as leaf, r.* from (\n${query(table, leaf, purpose)}\n) r`),
  );
  const { rows } = await reading(session, () => session.run<GateRow>(queries.join('\nunion all\n')));
  return rows.map(({ leaf, reason, message, remedy }) => {
    const { oid, name } = leaves[leaf] as Gated;
    return { oid, name, reason, message, hint: remedy };
  });
}

/**
 * Makes the statement that asks the gate again inside the transaction that detaches or drops: a reason that has come up
 * since ends it with SQLSTATE SDB06. One statement, since others may be waiting for the locks that the transaction has by then.
 *
 * Whether rows of a leaf are referenced DETACH itself looks, under its own locks: what came in since ends it with 23503.
 */
export function gateSteps(
  table: PartitionedTable,
  leaf: Gated,
  purpose: Purpose,
  { title, transaction }: Pick<Step, 'title' | 'transaction'>,
): readonly Step[] {
  const queries = GATE.map((query) => query(table, leaf, purpose)).join('\n) union all (\n');
  const sql = `select sensordb.refuse(r.reason, r.message, r.remedy, r.object) from ((\n${queries}\n)) r`;
  return [{ title, sql, transaction, locks: [] }];
}

/** What PostgreSQL itself refuses without CASCADE (2BP01, 23503): no option lets it through. */
const ENFORCED: Readonly<Record<Purpose, ReadonlySet<string>>> = {
  detach: new Set(['referenced_rows']),
  drop: new Set(['referenced', 'depended_on']),
};

/** Parts what the gate said into what stands even with `--no-gate`, and what that overrides. */
export function overrideGate(
  refusals: readonly LeafRefusal[],
  purpose: Purpose,
): { readonly standing: readonly LeafRefusal[]; readonly overridden: readonly LeafRefusal[] } {
  const stands = ({ reason }: Refusal): boolean => ENFORCED[purpose].has(reason);
  return {
    standing: refusals.filter(stands),
    overridden: refusals.filter((refusal) => !stands(refusal)),
  };
}
