import { failure } from '../cli/errors.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { quoteIdentifier } from '../db/quote.ts';
import { underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import { type Drift, groupBy, type Member } from './drift.ts';
import type { LeafTemplate } from './leaf-template.ts';
import { newestLeaf, readLeafTemplate } from './leaf-template-read.ts';
import { type Partitions, readPartitions } from './read.ts';
import type { Job } from './repair-jobs.ts';
import { planRepair, type RepairFacts, type RepairPlan } from './repair-plan.ts';
import {
  oidList,
  readGrantsFound,
  readMembers,
  readPoliciesFound,
  readTargetsFound,
  readTriggersFound,
} from './repair-read.ts';
import {
  readIdentitiesFound,
  readIndexOptions,
  readLacking,
  readLooseIndexes,
  readNamesIn,
  readTableIndexes,
} from './repair-read-indexes.ts';
import type { RepairRequest } from './repair-request.ts';
import { findByName } from './select.ts';

/** A plan for a table. */
export interface PreparedRepair extends RepairPlan {
  readonly table: PartitionedTable;
  readonly members: readonly Member[];
}

/**
 * Reads what has drifted and plans how it is mended; changes nothing.
 *
 * The number of queries is fixed, and none waits for a lock on a partition. Throws usage errors for what was asked.
 */
export async function prepareRepair(
  session: Session,
  table: PartitionedTable,
  request: RepairRequest,
  options: RunOptions,
): Promise<PreparedRepair> {
  const partitions = await reading(session, () => readPartitions(session, table));
  const members = inOrder(table, partitions, await reading(session, () => readMembers(session, table)));
  const chosen = choose(table, members, request.names);
  // pg_get_indexdef and the like take ACCESS SHARE on the parent and its indexes.
  const locks = [{ relation: table.qualified, mode: 'ACCESS SHARE' as const }];
  const template = await underBudget(session, `Read ${table.qualified}`, locks, options, () =>
    reading(session, () => readLeafTemplate(session, table, partitions.leaves), options.budget.lockTimeoutMs),
  );
  const facts = await reading(session, () => readFacts(session, table, partitions, members, template));
  return { ...planRepair({ ...facts, chosen }, request.kinds), table, members };
}

async function readFacts(
  session: Session,
  table: PartitionedTable,
  partitions: Partitions,
  members: readonly Member[],
  template: LeafTemplate,
): Promise<Omit<RepairFacts, 'chosen'>> {
  const oids = members.map(({ oid }) => oid);
  const model = newestLeaf(partitions.leaves)?.oid ?? 0;
  const lacking = await readLacking(session, table, oids);
  const incomplete = new Set(lacking.map(({ oid }) => oid));
  const schemas = new Set(members.filter(({ oid }) => incomplete.has(oid)).map(({ schema }) => schema));
  return {
    table,
    template,
    members,
    versionNum: session.server.versionNum,
    isSuperuser: await readIsSuperuser(session),
    grants: await readGrantsFound(session, table, oids),
    targets: await readTargetsFound(session, table, oids),
    policies: await readPoliciesFound(session, [table.oid, ...oids]),
    triggers: await readTriggersFound(session, table, oids),
    identities: await readIdentitiesFound(session, table, oids),
    indexOptions: await readIndexOptions(session, table, oids, model),
    indexes: {
      lacking,
      tableIndexes: await readTableIndexes(session, table),
      loose: await readLooseIndexes(session, table, oids),
      taken: await readNamesIn(session, [...schemas]),
    },
  };
}

async function readIsSuperuser(session: Session): Promise<boolean> {
  const { rows } = await session.run<{ is: boolean }>(
    'select rolsuper as is from pg_roles where rolname = current_user',
  );
  return rows[0]?.is === true;
}

/** Puts partitions in the order of their lower bounds, DEFAULT last, and what is below one right after it. */
function inOrder(
  table: PartitionedTable,
  { leaves, default: defaultPartition }: Partitions,
  members: readonly Member[],
): readonly Member[] {
  const place = new Map(leaves.map(({ oid }, at) => [oid, at]));
  if (defaultPartition !== null) place.set(defaultPartition.oid, leaves.length);
  const below = groupBy(members, ({ parentOid }) => parentOid);
  const list = (parent: number): readonly Member[] =>
    (below.get(parent) ?? [])
      .toSorted((a, b) => (place.get(a.oid) ?? 0) - (place.get(b.oid) ?? 0) || (a.name < b.name ? -1 : 1))
      .flatMap((member) => [member, ...list(member.oid)]);
  return list(table.oid);
}

/** Finds the leaves that were named, and what is below them; all of them when none was. */
function choose(
  table: PartitionedTable,
  members: readonly Member[],
  names: readonly string[],
): ReadonlySet<number> {
  if (names.length === 0) return new Set(members.map(({ oid }) => oid));
  const chosen = new Set(names.map((text) => findByName(table, members, text).oid));
  for (const { oid, parentOid } of members) if (chosen.has(parentOid)) chosen.add(oid);
  return chosen;
}

interface Rights {
  readonly oid: number;
  readonly owner: string;
  readonly owns: boolean;
  readonly schema: string;
  readonly creates: boolean;
  readonly ownerCreates: boolean;
  readonly gives: boolean;
}

/** Makes sure that the role may do all that is planned, before anything is changed; throws `insufficient_privilege` (exit 1). */
export async function requireRights(
  session: Session,
  table: PartitionedTable,
  jobs: readonly Job[],
): Promise<void> {
  if (jobs.length === 0) return;
  const oids = [...new Set(jobs.map(({ member }) => member.oid))];
  const { rows } = await session.run<Rights>(
    `select c.oid, pg_get_userbyid(c.relowner) as owner, pg_has_role(c.relowner, 'usage') as owns,
            n.nspname as schema, has_schema_privilege(c.relnamespace, 'create') as creates,
            r.rolsuper or pg_has_role(p.relowner, 'member') as gives,
            r.rolsuper or has_schema_privilege(p.relowner, c.relnamespace, 'create') as "ownerCreates"
       from pg_class p join pg_roles r on r.rolname = current_user
       join pg_class c on c.oid = any ($2::oid[]) join pg_namespace n on n.oid = c.relnamespace
      where p.oid = $1::oid`,
    [String(table.oid), oidList(oids)],
  );
  const rights = new Map(rows.map((row) => [row.oid, row]));
  for (const { member, steps, drifts } of jobs) {
    const may = rights.get(member.oid);
    const builds = steps.some(({ sql }) => /^create (?:unique )?index/.test(sql));
    if (may !== undefined) requireRight(session, table, member, may, drifts, builds);
  }
}

function requireRight(
  session: Session,
  table: PartitionedTable,
  member: Member,
  may: Rights,
  drifts: readonly Drift[],
  builds: boolean,
): void {
  const { user } = session.server;
  const refuse = (message: string, hint: string): Error =>
    failure('insufficient_privilege', message, {
      sqlstate: SQLSTATE.insufficientPrivilege,
      object: member.qualified,
      hint,
    });
  const role = (name: string): string => quoteIdentifier(name);
  if (!may.owns) {
    throw refuse(
      `Role ${user} does not own ${member.qualified}: its owner is ${may.owner}.`,
      `Connect as a superuser, or become a member of it: GRANT ${role(may.owner)} TO ${role(user)}.`,
    );
  }
  const gives = drifts.some(({ kind }) => kind === 'owner');
  if (gives && !may.gives) {
    throw refuse(
      `Role ${user} cannot give ${member.qualified} to ${table.owner}, of which it is no member.`,
      `Connect as a superuser, or GRANT ${role(table.owner)} TO ${role(user)}.`,
    );
  }
  if ((gives && !may.ownerCreates) || (builds && !may.creates)) {
    const who = gives && !may.ownerCreates ? table.owner : user;
    throw refuse(
      `Role ${who} may not create in schema ${may.schema}.`,
      `GRANT CREATE ON SCHEMA ${role(may.schema)} TO ${role(who)}.`,
    );
  }
}
