import type { StepLock } from '../db/step.ts';

/** What can drift, in the order in which it is mended: what takes the strongest lock on a leaf first. */
export const DRIFT_KINDS = [
  'owner',
  'row_security',
  'replica_identity',
  'triggers',
  'index_options',
  'storage_parameters',
  'statistics_targets',
  'grants',
  'indexes',
] as const;

export type DriftKind = (typeof DRIFT_KINDS)[number];

/** One way in which a leaf differs from what it should be. */
export interface Drift {
  /** The leaf's bare name; that of the table itself where its own index is at fault. */
  readonly name: string;
  readonly kind: DriftKind;
  /** Which of them: `policy own`, `index reading_at_idx`, `fillfactor`. */
  readonly what: string;
  readonly expected: string;
  readonly found: string;
}

/** A statement that mends something, and the locks it takes. */
export interface Statement {
  readonly sql: string;
  readonly locks: readonly StepLock[];
}

/** A partition of the table, at any depth, as the catalog has it. */
export interface Member {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Schema-qualified and quoted where it must be. */
  readonly qualified: string;
  /** A plain table, one that is partitioned itself, or a foreign one. */
  readonly kind: 'plain' | 'partitioned' | 'foreign';
  readonly parentOid: number;
  readonly parentQualified: string;
  readonly owner: string;
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  readonly replicaIdentity: string;
  /** Privileges were ever granted or revoked on it; else it has those of a new table, its owner's alone. */
  readonly hasGrants: boolean;
  /** `name=value` */
  readonly options: readonly string[];
  readonly toastOptions: readonly string[];
  readonly hasToast: boolean;
}

/** Something that stays as it is, why, and what to do about it. */
export interface Refused {
  readonly name: string;
  readonly kind: DriftKind;
  /** snake_case, stable: scripts match on it. */
  readonly reason: string;
  readonly message: string;
  readonly hint: string;
}

/** A drift and what is to be done about it. */
export interface Finding {
  readonly member: Member;
  readonly drift: Drift;
  readonly fix:
    | { readonly how: 'alter'; readonly statements: readonly Statement[] }
    | { readonly how: 'refuse'; readonly refused: Refused };
}

/** The lock that an ALTER takes on the leaf itself. */
export function onLeaf(member: Member, mode: StepLock['mode']): readonly StepLock[] {
  return [{ relation: member.qualified, mode }];
}

/** Makes a finding that an ALTER in the leaf's own transaction mends. */
export function altered(member: Member, drift: Omit<Drift, 'name'>, ...statements: Statement[]): Finding {
  return { member, drift: { name: member.name, ...drift }, fix: { how: 'alter', statements } };
}

/** Makes a finding that sensordb cannot mend. */
export function refusing(
  member: Member,
  drift: Omit<Drift, 'name'>,
  refused: Pick<Refused, 'reason' | 'message' | 'hint'>,
): Finding {
  const { name } = member;
  return {
    member,
    drift: { name, ...drift },
    fix: { how: 'refuse', refused: { name, kind: drift.kind, ...refused } },
  };
}

/** Gathers rows by a key. */
export function groupBy<K, V>(rows: readonly V[], keyOf: (row: V) => K): ReadonlyMap<K, readonly V[]> {
  const groups = new Map<K, V[]>();
  for (const row of rows) {
    const key = keyOf(row);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
}
