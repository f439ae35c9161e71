import { printable } from '../cli/table.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier } from '../db/quote.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { type Step, type StepLock, strongestLocks } from '../db/step.ts';
import type { TemplateValues } from '../db/template.ts';
import { formatBound } from '../time/instant.ts';
import type { NewLeaf } from './ensure-plan.ts';
import { grantStatements } from './grants.ts';
import { nameIndexes } from './index-names.ts';
import type { IndexTemplate, LeafTemplate, PolicyTemplate } from './leaf-template.ts';
import { renameReferences } from './policy-text.ts';

/** What a statement is about, and the locks it takes besides those on the new leaf itself. */
interface Statement {
  readonly sql: string;
  readonly locks?: readonly StepLock[];
}

/**
 * Makes the steps that create one leaf as a table of its own, complete it, and attach it; all in one transaction.
 *
 * ATTACH comes last: the locks that others could wait for are held for a moment only, and a failure before it leaves nothing.
 */
export function leafSteps(
  table: PartitionedTable,
  leaf: NewLeaf,
  template: LeafTemplate,
  taken: Set<string>,
  transaction: number,
): readonly Step[] {
  const statements: readonly Statement[] = [
    ...createTable(table, leaf, template),
    ...optionStatements(table, leaf, template),
    ...indexStatements(table, leaf, template, taken),
    ...accessStatements(table, leaf, template),
    attach(table, leaf, template),
  ];
  return toSteps(statements, leaf, transaction);
}

/** A leaf in parts, for one that is filled with rows before it is attached. */
export interface LeafParts {
  /** The table and its settings, without indexes. */
  readonly table: readonly Step[];
  /** Indexes, replica identity, policies and privileges. */
  readonly finish: readonly Step[];
}

/**
 * Makes the steps of a leaf that is filled between its creation and its completion; they do not attach it.
 *
 * `leaf` has the name that the table has meanwhile, its indexes get theirs after `finalName`.
 */
export function leafParts(
  table: PartitionedTable,
  leaf: NewLeaf,
  finalName: string,
  template: LeafTemplate,
  taken: Set<string>,
): LeafParts {
  return {
    table: toSteps(
      [...createTable(table, leaf, template), ...optionStatements(table, leaf, template)],
      leaf,
      1,
    ),
    finish: toSteps(
      [
        ...indexStatements(table, leaf, template, taken, finalName),
        ...accessStatements(table, leaf, template),
      ],
      leaf,
      1,
    ),
  };
}

function toSteps(statements: readonly Statement[], leaf: NewLeaf, transaction: number): readonly Step[] {
  return statements.map(({ sql, locks = [] }) => ({
    title: `Create ${printable(leaf.name)}`,
    sql,
    transaction,
    locks,
  }));
}

function optionStatements(
  table: PartitionedTable,
  leaf: NewLeaf,
  template: LeafTemplate,
): readonly Statement[] {
  const target = { schema: table.schema, leaf: leaf.name };
  const file = (name: string, values: TemplateValues = {}): Statement => ({
    sql: sqlStatement(`partitions/${name}`, { ...target, ...values }),
  });
  return [
    ...(template.comment === null ? [] : [file('comment_on_leaf.sql', { comment: template.comment })]),
    ...template.options.map((option) => file('set_storage_option.sql', splitOption(option))),
    ...template.toastOptions.map((option) => file('set_toast_option.sql', splitOption(option))),
    ...statisticsTargets(table, leaf, template),
  ];
}

function accessStatements(
  table: PartitionedTable,
  leaf: NewLeaf,
  template: LeafTemplate,
): readonly Statement[] {
  return [
    ...policyStatements(table, leaf, template),
    ...grantStatements(qualifiedName(table.schema, leaf.name), template).map((sql) => ({ sql })),
  ];
}

/** Splits `name=value`. */
export function splitOption(option: string): { readonly option: string; readonly value: string } {
  const at = option.indexOf('=');
  return { option: option.slice(0, at), value: option.slice(at + 1) };
}

function createTable(table: PartitionedTable, leaf: NewLeaf, template: LeafTemplate): readonly Statement[] {
  const { tablespace, accessMethod } = template;
  const target = { schema: table.schema, leaf: leaf.name };
  const statements: Statement[] = [];
  if (tablespace !== null) {
    statements.push({ sql: sqlStatement('partitions/set_default_tablespace.sql', { tablespace }) });
  }
  if (accessMethod !== null) {
    const values = { method: accessMethod };
    statements.push({ sql: sqlStatement('partitions/set_access_method.sql', values) });
  }
  statements.push({
    sql: sqlStatement('partitions/create_leaf.sql', {
      ...target,
      parent_schema: table.schema,
      parent: table.name,
    }),
    locks: [{ relation: table.qualified, mode: 'ACCESS SHARE' }],
  });
  if (tablespace !== null) statements.push(resetTablespace());
  if (template.unlogged) statements.push({ sql: sqlStatement('partitions/set_unlogged.sql', target) });
  if (template.owner !== template.creator) {
    // The owner first: who may give the table away is its member, and so keeps the right to complete it.
    statements.push({ sql: sqlStatement('partitions/set_owner.sql', { ...target, owner: template.owner }) });
  }
  return statements;
}

// A tablespace of the role's or the database's own choice counts again, as it does for a partition made by hand.
function resetTablespace(): Statement {
  return { sql: sqlStatement('partitions/reset_default_tablespace.sql', {}) };
}

function statisticsTargets(
  table: PartitionedTable,
  leaf: NewLeaf,
  template: LeafTemplate,
): readonly Statement[] {
  const qualified = qualifiedName(table.schema, leaf.name);
  return template.statisticsTargets.map(({ column, target }) => ({
    sql: statisticsStatement(qualified, column, target),
  }));
}

/** Sets a column's statistics target on one table alone; -1 is the server's default. */
export function statisticsStatement(qualified: string, column: string, target: number): string {
  return `alter table only ${qualified} alter column ${quoteIdentifier(column)} set statistics ${target}`;
}

function indexStatements(
  table: PartitionedTable,
  leaf: NewLeaf,
  template: LeafTemplate,
  taken: Set<string>,
  finalName = leaf.name,
): readonly Statement[] {
  const names = nameIndexes(finalName, template.indexes, taken);
  return [
    ...template.indexes.flatMap((index, at) => oneIndex(table, leaf, index, names[at] as string)),
    ...replicaIdentity(table, leaf, template, names),
  ];
}

function oneIndex(
  table: PartitionedTable,
  leaf: NewLeaf,
  index: IndexTemplate,
  name: string,
): readonly Statement[] {
  const qualified = qualifiedName(table.schema, leaf.name);
  const { schema } = table;
  const { tablespace } = index;
  const create =
    index.constraintType === null
      ? `create ${index.unique ? 'unique ' : ''}index ${quoteIdentifier(name)} on ${qualified} using ${index.definition}`
      : `alter table ${qualified} add constraint ${quoteIdentifier(name)} ${index.constraintDefinition}`;
  return [
    ...(tablespace === null
      ? []
      : [{ sql: sqlStatement('partitions/set_default_tablespace.sql', { tablespace }) }]),
    { sql: create },
    ...(tablespace === null ? [] : [resetTablespace()]),
    ...index.options.map((option) => ({
      sql: sqlStatement('partitions/set_index_option.sql', { schema, index: name, ...splitOption(option) }),
    })),
    ...(index.comment === null
      ? []
      : [
          {
            sql: sqlStatement('partitions/comment_on_index.sql', {
              schema,
              index: name,
              comment: index.comment,
            }),
          },
        ]),
  ];
}

function replicaIdentity(
  table: PartitionedTable,
  leaf: NewLeaf,
  template: LeafTemplate,
  names: readonly string[],
): readonly Statement[] {
  const target = { schema: table.schema, leaf: leaf.name };
  switch (template.replicaIdentity) {
    case 'f':
      return [{ sql: sqlStatement('partitions/replica_identity_full.sql', target) }];
    case 'n':
      return [{ sql: sqlStatement('partitions/replica_identity_nothing.sql', target) }];
    case 'i': {
      const index = names[template.indexes.findIndex(({ isReplicaIdentity }) => isReplicaIdentity)];
      if (index === undefined) return []; // The index it named is gone: PostgreSQL then treats it as none.
      return [{ sql: sqlStatement('partitions/replica_identity_index.sql', { ...target, index }) }];
    }
    default:
      return [];
  }
}

const POLICY_COMMANDS: Readonly<Record<string, string>> = {
  '*': 'all',
  r: 'select',
  a: 'insert',
  w: 'update',
  d: 'delete',
};

function policyStatements(
  table: PartitionedTable,
  leaf: NewLeaf,
  template: LeafTemplate,
): readonly Statement[] {
  const target = { schema: table.schema, leaf: leaf.name };
  return [
    ...template.policies.map((policy) => policyStatement(table, target, template, policy)),
    ...(template.rowSecurity ? [{ sql: sqlStatement('partitions/enable_row_security.sql', target) }] : []),
    ...(template.forceRowSecurity
      ? [{ sql: sqlStatement('partitions/force_row_security.sql', target) }]
      : []),
  ];
}

/** Makes the statement that gives a leaf a policy of its parent, with the locks it takes on what the policy reads. */
export function policyStatement(
  table: PartitionedTable,
  { schema, leaf }: { readonly schema: string; readonly leaf: string },
  { columns }: Pick<LeafTemplate, 'columns'>,
  policy: PolicyTemplate,
): { readonly sql: string; readonly locks: readonly StepLock[] } {
  const names = { table: table.name, columns };
  const renamed = (expression: string): string => renameReferences(expression, names, leaf);
  const roles = policy.roles.map((role) => (role === null ? 'public' : quoteIdentifier(role))).join(', ');
  const kind = policy.permissive ? 'permissive' : 'restrictive';
  const using = policy.using === null ? '' : ` using (${renamed(policy.using)})`;
  const check = policy.check === null ? '' : ` with check (${renamed(policy.check)})`;
  const on = qualifiedName(schema, leaf);
  return {
    sql: `create policy ${quoteIdentifier(policy.name)} on ${on} as ${kind} for ${POLICY_COMMANDS[policy.command]} to ${roles}${using}${check}`,
    locks: policy.reads.map((relation) => ({ relation, mode: 'ACCESS SHARE' })),
  };
}

/** Makes the statement that attaches a leaf. */
export function attachStatement(table: PartitionedTable, leaf: NewLeaf): string {
  return sqlStatement('partitions/attach_leaf.sql', {
    parent_schema: table.schema,
    parent: table.name,
    schema: table.schema,
    leaf: leaf.name,
    lower: formatBound(leaf.range.lower, table.keyType),
    upper: formatBound(leaf.range.upper, table.keyType),
  });
}

function attach(table: PartitionedTable, leaf: NewLeaf, template: LeafTemplate): Statement {
  return {
    sql: attachStatement(table, leaf),
    // A table that references itself stands at both ends of its foreign key.
    locks: strongestLocks([
      { relation: table.qualified, mode: 'SHARE UPDATE EXCLUSIVE' },
      ...template.attachLocks,
    ]),
  };
}
