import type { PartitionedTable } from '../db/catalog.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { altered, type Finding, type Member, onLeaf, type Statement } from './drift.ts';
import { policyStatement } from './leaf-steps.ts';
import type { LeafTemplate, PolicyTemplate } from './leaf-template.ts';
import { comparableTree } from './node-tree.ts';
import type { PolicyFound } from './repair-read-rules.ts';

/** Finds the policies of a leaf that are missing, different or surplus, and whether row security is in force as on its parent. */
export function compareRowSecurity(
  table: PartitionedTable,
  member: Member,
  template: LeafTemplate,
  expected: readonly PolicyFound[],
  found: readonly PolicyFound[],
): readonly Finding[] {
  return [...comparePolicies(table, member, template, expected, found), ...compareFlags(member, template)];
}

function comparePolicies(
  table: PartitionedTable,
  member: Member,
  template: LeafTemplate,
  expected: readonly PolicyFound[],
  found: readonly PolicyFound[],
): readonly Finding[] {
  const known = new Map(found.map((policy) => [policy.name, policy]));
  const wanted = new Map(expected.map((policy) => [policy.name, policy]));
  const make = (policy: PolicyTemplate): Statement =>
    locked(member, policyStatement(table, { schema: member.schema, leaf: member.name }, template, policy));
  const surplus = found
    .filter(({ name }) => !wanted.has(name))
    .map(({ name }) => altered(member, drift(name, 'none', 'surplus'), dropPolicy(member, name)));
  const others = template.policies.flatMap((policy) => {
    const there = known.get(policy.name);
    const model = wanted.get(policy.name);
    if (model === undefined) return []; // It came or went between two reads.
    if (there === undefined) {
      return [altered(member, drift(policy.name, 'as on the parent', 'missing'), make(policy))];
    }
    if (shapeOf(there) === shapeOf(model)) return [];
    const anew = [dropPolicy(member, policy.name), make(policy)];
    return [altered(member, drift(policy.name, 'as on the parent', 'different'), ...anew)];
  });
  return [...surplus, ...others];
}

function drift(name: string, expected: string, found: string) {
  return { kind: 'row_security', what: `policy ${name}`, expected, found } as const;
}

function shapeOf({ permissive, command, roles, using, check, layout }: PolicyFound): string {
  return JSON.stringify([
    permissive,
    command,
    roles,
    comparableTree(using, layout),
    comparableTree(check, layout),
  ]);
}

function dropPolicy(member: Member, policy: string): Statement {
  const { schema, name: leaf } = member;
  return locked(member, { sql: sqlStatement('partitions/drop_policy.sql', { schema, leaf, policy }) });
}

function compareFlags(member: Member, template: LeafTemplate): readonly Finding[] {
  const flags = [
    {
      what: 'row security',
      expected: template.rowSecurity,
      found: member.rowSecurity,
      files: ['disable_row_security.sql', 'enable_row_security.sql'],
    },
    {
      what: 'row security of the owner',
      expected: template.forceRowSecurity,
      found: member.forceRowSecurity,
      files: ['no_force_row_security.sql', 'force_row_security.sql'],
    },
  ] as const;
  const { schema, name: leaf } = member;
  const word = (flag: boolean): string => (flag ? 'on' : 'off');
  return flags
    .filter(({ expected, found }) => expected !== found)
    .map(({ what, expected, found, files }) =>
      altered(
        member,
        { kind: 'row_security', what, expected: word(expected), found: word(found) },
        locked(member, {
          sql: sqlStatement(`partitions/${files[Number(expected) as 0 | 1]}`, { schema, leaf }),
        }),
      ),
    );
}

function locked(member: Member, { sql, locks = [] }: Pick<Statement, 'sql'> & Partial<Statement>): Statement {
  return { sql, locks: [...onLeaf(member, 'ACCESS EXCLUSIVE'), ...locks] };
}
