import { failure } from '../cli/errors.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import type { Drift, Member } from './drift.ts';
import type { Job } from './repair-jobs.ts';
import { oidList } from './repair-read.ts';

interface Rights {
  readonly oid: number;
  readonly owner: string;
  readonly owns: boolean;
  readonly schema: string;
  readonly creates: boolean;
  readonly ownerCreates: boolean;
  readonly gives: boolean;
}

/**
 * Makes sure that the statements which stand outside of transactions mean what they say; throws `search_path` (exit 1).
 *
 * They run under the role's own search_path, and PostgreSQL's index definitions leave `pg_catalog` out. It is searched first
 * unless the path itself names it further back: then another schema's `lower` or `=` would stand in for PostgreSQL's.
 */
export function requireSafePath({ server }: Session, jobs: readonly Job[]): void {
  if (server.searchPath.indexOf('pg_catalog') <= 0 || !jobs.some(({ builds }) => builds !== null)) return;
  throw failure(
    'search_path',
    `The search_path of ${server.user} puts ${server.searchPath[0]} before pg_catalog: an index could be built with functions and operators from there.`,
    {
      hint: "Take pg_catalog off the path, PGOPTIONS='-c search_path=public' for example, or --skip indexes.",
    },
  );
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
