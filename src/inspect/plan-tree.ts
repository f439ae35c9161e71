/** A node of a plan as EXPLAIN (FORMAT JSON) prints it, as far as it is read here. */
export interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Schema?: string;
  /** Partitions that need not be read, of an Append; without the values of parameters they are not known. */
  readonly 'Subplans Removed'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** A relation that a plan reads. */
export interface ScannedRelation {
  readonly schema: string;
  readonly name: string;
}

/** Lists the relations that a plan reads, each once; those that are pruned when it begins to run are not among them. */
export function scannedRelations(plan: PlanNode): readonly ScannedRelation[] {
  const found = new Map<string, ScannedRelation>();
  const visit = (node: PlanNode): void => {
    const { 'Relation Name': name, Schema: schema } = node;
    if (name !== undefined && schema !== undefined) found.set(`${schema}\0${name}`, { schema, name });
    for (const child of node.Plans ?? []) visit(child);
  };
  visit(plan);
  return [...found.values()];
}
