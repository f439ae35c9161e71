import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { Step } from '../db/step.ts';
import type { Range } from '../time/instant.ts';

/** Why a leaf is not detached or dropped, and what to do about it. */
export interface Refusal {
  readonly name: string;
  /** snake_case, stable: scripts match on it. */
  readonly reason: string;
  readonly message: string;
  readonly hint: string;
}

/**
 * The reasons of the retention gate: each a query of `sql/partitions/` that gives a row for every reason to keep the leaf.
 *
 * It takes `:'table_oid'` and `:'leaf_oid'`, and gives reason, message and remedy. Others join by a file here.
 */
const GATE: readonly string[] = [];

/** What is to be done with a leaf: some reasons hold for the one and not for the other. */
export type Purpose = 'detach' | 'drop';

interface Gated {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly range: Range;
}

/** Asks the gate about leaves, before anything is changed. */
export async function askGate(
  session: Session,
  table: PartitionedTable,
  leaves: readonly Gated[],
  _purpose: Purpose,
): Promise<readonly Refusal[]> {
  const refusals: Refusal[] = [];
  for (const leaf of leaves) {
    for (const query of gateQueries(table, leaf)) {
      const { rows } = await session.run<{ reason: string; message: string; remedy: string }>(query);
      refusals.push(
        ...rows.map(({ reason, message, remedy }) => ({ name: leaf.name, reason, message, hint: remedy })),
      );
    }
  }
  return refusals;
}

/**
 * Makes the statements that ask the gate again inside the transaction that detaches or drops: a reason that has come up
 * since ends it with SQLSTATE SDB06.
 */
export function gateSteps(
  table: PartitionedTable,
  leaf: Gated,
  _purpose: Purpose,
  { title, transaction }: Pick<Step, 'title' | 'transaction'>,
): readonly Step[] {
  return gateQueries(table, leaf).map((query) => ({
    title,
    sql: `select sensordb.refuse(r.reason, r.message, r.remedy, r.object) from (\n${query}\n) r`,
    transaction,
    locks: [],
  }));
}

function gateQueries(table: PartitionedTable, leaf: Gated): readonly string[] {
  return GATE.map((file) =>
    sqlStatement(`partitions/${file}`, { table_oid: String(table.oid), leaf_oid: String(leaf.oid) }),
  );
}
