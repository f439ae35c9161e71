import { usageError } from '../cli/errors.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import type { Instant } from '../time/instant.ts';
import { compare } from './coverage.ts';
import { type DetachedLeaf, readDetached } from './detached.ts';
import { isNamed } from './drop-already.ts';
import type { Gated } from './gate.ts';
import { readStatistics } from './list-read.ts';
import { type DefaultPartition, type Leaf, readPartitions } from './read.ts';
import type { Selection } from './select.ts';

/** A leaf that can be selected: a partition of the table, or one that sensordb detached from it. */
export interface Candidate extends Gated {
  readonly state: 'attached' | 'detach_pending' | 'detached';
  /** Its row in sensordb.detached_leaf, if it has a current one. */
  readonly recordId: string | null;
  /** Null unless it is detached. */
  readonly detachedAt: Instant | null;
}

/** A selected leaf, with what has to be known before it is dropped. */
export interface SelectedLeaf extends Candidate {
  /** As PostgreSQL prints it in UTC. */
  readonly bound: string;
  readonly isForeign: boolean;
  /** Detached by sensordb, and by now a partition of another table. */
  readonly isElsewhere: boolean;
  /** The role owns the leaf, or its schema: what DROP TABLE asks for. */
  readonly mayDrop: boolean;
  /** The planner's estimate; null when it was never analyzed. */
  readonly rowsEstimate: number | null;
  /** With indexes and TOAST; null while somebody holds ACCESS EXCLUSIVE on it. */
  readonly bytes: number | null;
}

/** The leaves that can be selected, in the order of their lower bounds. */
export interface Candidates {
  readonly leaves: readonly Candidate[];
  readonly default: DefaultPartition | null;
}

/** Reads the leaves of a table, attached or detached: three queries, however many there are; waits for no lock. */
export async function readCandidates(session: Session, table: PartitionedTable): Promise<Candidates> {
  return await reading(session, async () => {
    const partitions = await readPartitions(session, table);
    const detached = await readDetached(session, table);
    const records = new Map(detached.map((record) => [record.oid, record.id]));
    const leaves = [
      ...partitions.leaves.map((leaf) => attachedCandidate(leaf, records.get(leaf.oid) ?? null)),
      ...detached.filter(({ isAttached }) => !isAttached).map(detachedCandidate),
    ];
    leaves.sort((a, b) => compare(a.range.lower, b.range.lower) || (a.name < b.name ? -1 : 1));
    return { leaves, default: partitions.default };
  });
}

function attachedCandidate({ oid, schema, name, range, state }: Leaf, recordId: string | null): Candidate {
  return { oid, schema, name, range, state, recordId, detachedAt: null };
}

function detachedCandidate({ id, oid, schema, name, range, detachedAt }: DetachedLeaf): Candidate {
  return { oid, schema, name, range, state: 'detached', recordId: id, detachedAt };
}

/** Throws a usage error when DEFAULT is among the names: it is what catches rows that no leaf takes. */
export function refuseDefault(
  table: PartitionedTable,
  { default: defaultPartition }: Candidates,
  selection: Selection,
): void {
  if (defaultPartition === null || selection.kind !== 'names') return;
  const named = selection.names.find((text) => isNamed(defaultPartition, text));
  if (named === undefined) return;
  throw usageError('default_partition', `${named} is the DEFAULT partition of ${table.qualified}.`, {
    object: named,
    hint: 'sensordb never drops it: it catches the rows that no leaf takes. Name leaves only.',
  });
}

interface LeafFacts {
  readonly oid: number;
  readonly kind: string;
  readonly partition: boolean;
  readonly owned: boolean;
  readonly bound: string | null;
}

/** Reads more of selected leaves: two queries, however many there are; those that are gone meanwhile are left out. */
export async function readSelected(
  session: Session,
  leaves: readonly Candidate[],
): Promise<readonly SelectedLeaf[]> {
  if (leaves.length === 0) return [];
  const oids = leaves.map(({ oid }) => oid);
  const facts = await reading(session, async () => {
    const { rows } = await session.run<LeafFacts>(
      `select c.oid, c.relkind::text as kind, exists (select from pg_inherits i where i.inhrelid = c.oid) as partition,
              pg_get_expr(c.relpartbound, 0) as bound,
              pg_has_role(c.relowner, 'USAGE') or pg_has_role(n.nspowner, 'USAGE') as owned
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid = any ($1::oid[])`,
      [`{${oids.join()}}`],
    );
    return new Map(rows.map((row) => [row.oid, row]));
  });
  const statistics = new Map((await readStatistics(session, oids)).map((line) => [line.oid, line]));
  return leaves.flatMap((leaf) => {
    const known = facts.get(leaf.oid);
    if (known === undefined) return [];
    const { rowsEstimate = null, bytes = null } = statistics.get(leaf.oid) ?? {};
    return [
      {
        ...leaf,
        bound: known.bound ?? '',
        isForeign: known.kind === 'f',
        mayDrop: known.owned,
        isElsewhere: leaf.state === 'detached' && known.partition,
        rowsEstimate,
        bytes,
      },
    ];
  });
}

/** Spells a leaf's name with its schema. */
export function relationOf({ schema, name }: Gated): string {
  return qualifiedName(schema, name);
}
