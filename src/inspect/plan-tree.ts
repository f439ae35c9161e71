/** A node of a plan as EXPLAIN (FORMAT JSON) prints it, as far as it is read here. */
export interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Schema?: string;
  readonly Alias?: string;
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

/**
 * Lists the relations that a plan reads, each once; those that are pruned when it begins to run are not among them, nor, with the
 * partition key, those that an Append prunes while it runs: EXPLAIN shows them, for their number hangs on values still to come.
 *
 * With `isOrdered`, the query wants the first rows in an order: of an Append below LIMIT whose children come in that order the first
 * alone counts, for the others are opened only if that has too few.
 */
export function scannedRelations(
  plan: PlanNode,
  { isOrdered = false, key = null }: { readonly isOrdered?: boolean; readonly key?: string | null } = {},
): readonly ScannedRelation[] {
  const found = new Map<string, ScannedRelation>();
  const visit = (node: PlanNode, isLimited: boolean): void => {
    const { 'Node Type': type, 'Relation Name': name, Schema: schema, Plans: plans = [] } = node;
    if (name !== undefined && schema !== undefined && !(key !== null && isPrunedWhileRunning(node, key))) {
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

/**
 * Tells whether a scan compares the partition key with a value that another part of the plan finds: an InitPlan, printed as `$0` or
 * `(InitPlan 1)` (17 on), or a row of the outer side of a nested loop. An Append prunes by these (14 to 18).
 */
function isPrunedWhileRunning(node: PlanNode, key: string): boolean {
  const own = `${identifier(node.Alias ?? '')}\\.${identifier(key)}`;
  const other = `(?:\\$\\d|\\(InitPlan |(?!${identifier(node.Alias ?? '')}\\.)${ANY}\\.${ANY}(?![\\w(]))`;
  const compared = new RegExp(
    `(?<![\\w".])${own} ${COMPARED} ${SAME}${other}|${other}${SAME} ${COMPARED} ${own}(?![\\w"])`,
  );
  return [node.Filter, node['Index Cond'], node['Recheck Cond']].some(
    (condition) => condition !== undefined && compared.test(condition),
  );
}

const COMPARED = '(?:=|<|<=|>|>=)';
/** Any part of one comparison. */
const SAME = '(?:(?! (?:AND|OR) ).)*?';
const ANY = '(?:"(?:[^"]|"")+"|[\\w$]+)';

/** A name as EXPLAIN prints it, with quotes where it needs them. */
function identifier(name: string): string {
  const literally = name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return `(?:"${literally.replaceAll('"', '""')}"|${literally})`;
}
