import { comparesWithFound } from './plan-condition.ts';

/** A node of a plan as EXPLAIN (FORMAT JSON) prints it, as far as it is read here. */
export interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Schema?: string;
  readonly Alias?: string;
  /** Of a ModifyTable: Insert, Update, Delete or Merge. */
  readonly Operation?: string;
  readonly Filter?: string;
  readonly 'Index Cond'?: string;
  readonly 'Recheck Cond'?: string;
  /** Partitions that need not be read, of an Append; without the values of parameters they are not known. */
  readonly 'Subplans Removed'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** A relation that a plan reads. */
export interface ScannedRelation {
  readonly schema: string;
  readonly name: string;
}

/** How a plan is read. */
interface Reading {
  readonly isOrdered?: boolean;
  readonly key?: string | null;
  /** Of the query, as many as the plan has no values for. */
  readonly parameters?: number;
}

/**
 * Lists the relations that a plan reads, each once; those that are pruned when it begins to run are not among them, nor, with the
 * partition key, those that an Append prunes while it runs: EXPLAIN shows them, for their number hangs on values still to come.
 *
 * With `isOrdered`, the query wants the first rows in an order: of an Append below LIMIT whose children come in that order the first
 * alone counts, for the others are opened only if that has too few.
 */
export function scannedRelations(
  plan: PlanNode,
  { isOrdered = false, key = null, parameters = 0 }: Reading = {},
): readonly ScannedRelation[] {
  const found = new Map<string, ScannedRelation>();
  const visit = (node: PlanNode, isLimited: boolean): void => {
    const { 'Node Type': type, 'Relation Name': name, Schema: schema, Plans: plans = [] } = node;
    if (
      name !== undefined &&
      schema !== undefined &&
      !(key !== null && isPrunedWhileRunning(node, key, parameters))
    ) {
      found.set(`${schema}\0${name}`, { schema, name });
    }
    const isFirstOnly = isLimited && type === 'Append' && plans.every(comesInOrder);
    const below = type === 'Limit' || (isLimited && LETS_THROUGH.has(type));
    for (const [at, child] of plans.entries()) {
      if (!isFirstOnly || at === 0) visit(child, below);
    }
  };
  visit(plan, false);
  return [...found.values()];

  function comesInOrder({ 'Node Type': type, Plans: plans = [] }: PlanNode): boolean {
    if (type === 'Append') return plans.every(comesInOrder);
    return isOrdered && IN_ORDER.has(type);
  }
}

/** Nodes that take no more rows from below than are taken from them. */
const LETS_THROUGH = new Set(['Result', 'Subquery Scan', 'LockRows', 'Append']);

/** What gives the rows of one partition in an order. */
const IN_ORDER = new Set(['Index Scan', 'Index Only Scan', 'Sort', 'Incremental Sort', 'Merge Append']);

/** Tells whether an Append leaves a scan out by values that are found while the plan runs. */
function isPrunedWhileRunning(node: PlanNode, key: string, parameters: number): boolean {
  const column = { alias: node.Alias ?? '', name: key, parameters };
  return [node.Filter, node['Index Cond'], node['Recheck Cond']].some(
    (condition) => condition !== undefined && comparesWithFound(condition, column),
  );
}

/** Tells whether a plan changes rows that it finds, rather than only puts new ones in. */
export function changesRows({ Operation: operation, Plans: plans = [] }: PlanNode): boolean {
  return (operation !== undefined && operation !== 'Insert') || plans.some(changesRows);
}
