import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
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
 * The reasons of the retention gate: each a query of `sql/partitions/` that gives a row for every leaf that is to be kept.
 *
 * It is given the OIDs of leaves, and gives leaf_oid, reason, message, remedy and object. It reads the catalog and sensordb's
 * own tables, and of the leaves no more than it must, so that it can be asked again under the locks of a detach or drop. Others
 * join by a line here: to those that ask the catalog alone if they work before sensordb has tables of its own.
 */
const CATALOG: readonly Reason[] = [
  (_table, leaf_oids, purpose) => sqlStatement('partitions/gate_foreign_keys.sql', { leaf_oids, purpose }),
  (_table, leaf_oids) => sqlStatement('partitions/gate_views.sql', { leaf_oids }),
];
const GATE: readonly Reason[] = [
  ...CATALOG,
  ({ oid }, leaf_oids) =>
    sqlStatement('partitions/gate_aggregates.sql', { table_oid: String(oid), leaf_oids }),
];

type Reason = (table: PartitionedTable, leaf_oids: string, purpose: Purpose) => string;

function gateQuery(
  table: PartitionedTable,
  leaves: readonly Gated[],
  purpose: Purpose,
  reasons: readonly Reason[] = GATE,
): string {
  const oids = `{${leaves.map(({ oid }) => oid).join()}}`;
  return `(\n${reasons.map((query) => query(table, oids, purpose)).join('\n) union all (\n')}\n)`;
}

/**
 * Asks the gate about leaves, before anything is changed; waits for no lock of the user's that it would not give up on.
 *
 * A leaf may be refused for several reasons; all of them are given. One query, whatever the number of leaves; for 'detach'
 * one more, and one for each leaf and foreign key that references the parent.
 */
export async function askGate(
  session: Session,
  table: PartitionedTable,
  leaves: readonly Gated[],
  purpose: Purpose,
): Promise<readonly LeafRefusal[]> {
  if (leaves.length === 0) return [];
  const refusals = await askCatalog(session, table, leaves, purpose);
  // Of a leaf to be dropped the catalog alone says it: PostgreSQL asks for no rows there.
  return purpose === 'drop' ? refusals : [...refusals, ...(await askReferencedRows(session, table, leaves))];
}

/**
 * Sensordb's own tables are not there yet, or older than aggregates: none are kept. Or somebody holds a lock on a leaf at which it
 * wants to look: the transaction that detaches or drops asks again, and waits for it.
 */
const UNANSWERED: ReadonlySet<string | null> = new Set([
  SQLSTATE.invalidSchemaName,
  SQLSTATE.undefinedFunction,
  SQLSTATE.lockNotAvailable,
]);

interface GateRow {
  readonly leaf_oid: number;
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
  const ask = async (reasons: readonly Reason[]) =>
    (await reading(session, () => session.run<GateRow>(gateQuery(table, leaves, purpose, reasons)))).rows;
  const rows = await ask(GATE).catch(async (thrown) => {
    if (!UNANSWERED.has(sqlstateOf(thrown))) throw thrown;
    return await ask(CATALOG);
  });
  return leaves.flatMap(({ oid, name }) =>
    rows
      .filter((row) => row.leaf_oid === oid)
      .map(({ reason, message, remedy }) => ({ oid, name, reason, message, hint: remedy })),
  );
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
  const query = gateQuery(table, [leaf], purpose);
  const sql = `select sensordb.refuse(r.reason, r.message, r.remedy, r.object) from (${query}) r`;
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
