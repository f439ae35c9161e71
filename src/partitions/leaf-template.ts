import type { StepLock } from '../db/step.ts';

/** One privilege in an access control list; a null grantee is PUBLIC. */
export interface Grant {
  readonly grantee: string | null;
  readonly privilege: string;
  readonly grantable: boolean;
  /** Null: on the whole table. */
  readonly column: string | null;
}

/** One index of the parent, and what its copy on a leaf must be. */
export interface IndexTemplate {
  readonly oid: number;
  readonly name: string;
  /** Names of its columns; `expr` for an expression. */
  readonly columns: readonly string[];
  /** What follows `create [unique] index … on … using `: from pg_get_indexdef, so it is PostgreSQL's own text. */
  readonly definition: string;
  /** What follows ` WHERE ` at the end of the definition. */
  readonly predicate: string | null;
  readonly unique: boolean;
  /** `p` or `u` when a constraint stands on it. */
  readonly constraintType: string | null;
  readonly constraintDefinition: string | null;
  /** Nothing, ` deferrable`, or ` deferrable initially deferred`. */
  readonly constraintTiming: string;
  readonly tablespace: string | null;
  readonly isReplicaIdentity: boolean;
  /** `name=value`: those that the definition does not hold. */
  readonly options: readonly string[];
  readonly comment: string | null;
}

/** A policy of the parent, as CREATE POLICY takes it. */
export interface PolicyTemplate {
  readonly name: string;
  readonly permissive: boolean;
  readonly command: string;
  /** A null role is PUBLIC. */
  readonly roles: readonly (string | null)[];
  readonly using: string | null;
  readonly check: string | null;
  /** The relations that its expressions read; making it locks them with ACCESS SHARE. */
  readonly reads: readonly string[];
}

/** Everything that a leaf of one table should have, besides what LIKE copies. */
export interface LeafTemplate {
  readonly owner: string;
  /** The role that makes the leaf; it owns it until it is given away. */
  readonly creator: string;
  readonly columns: readonly string[];
  readonly comment: string | null;
  readonly replicaIdentity: string;
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  readonly tablespace: string | null;
  /** Null: that which a new table gets anyway. */
  readonly accessMethod: string | null;
  readonly unlogged: boolean;
  /** `name=value`, of the newest leaf: a partitioned table can have none itself (22023). */
  readonly options: readonly string[];
  readonly toastOptions: readonly string[];
  readonly statisticsTargets: readonly { readonly column: string; readonly target: number }[];
  readonly policies: readonly PolicyTemplate[];
  readonly indexes: readonly IndexTemplate[];
  /** What a table made by this role in this schema starts with, and what it shall have. */
  readonly initialGrants: readonly Grant[];
  readonly desiredGrants: readonly Grant[];
  /** What ATTACH locks besides the parent and the leaf: DEFAULT, and tables at the other ends of foreign keys. */
  readonly attachLocks: readonly StepLock[];
}
