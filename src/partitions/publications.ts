import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { PublicationMembership } from './detached.ts';

/** A leaf's own membership in a publication, and whether the role may end it. */
export interface PublicationMember extends PublicationMembership {
  readonly isOurs: boolean;
  readonly owner: string;
}

/** A publication that takes in a table whatever is done to that table: one FOR ALL TABLES, or of a whole schema. */
export interface WidePublication {
  readonly name: string;
  /** Null: of all tables. */
  readonly schema: string | null;
}

// Column lists, row filters and publications of schemas came with this version.
const FILTERS_SINCE = 150_000;

/**
 * Reads the publications that leaves are members of by themselves, by their OIDs; not those that take them in through
 * their parent, which a detached leaf leaves by itself (14 to 18).
 */
export async function readMemberships(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlyMap<number, readonly PublicationMember[]>> {
  const details =
    session.server.versionNum < FILTERS_SINCE
      ? 'null as columns, null as filter'
      : `(select json_agg(a.attname order by k.position)
            from unnest(r.prattrs::int2[]) with ordinality k (attnum, position)
            join pg_attribute a on a.attrelid = r.prrelid and a.attnum = k.attnum) as columns,
         pg_get_expr(r.prqual, r.prrelid) as filter`;
  // The owner of a publication may drop a table from it, whoever owns the table (measured on 14 to 18).
  const { rows } = await session.run<PublicationMember & { leaf: number }>(
    `select r.prrelid as leaf, p.pubname::text as name, pg_has_role(p.pubowner, 'usage') as "isOurs",
            pg_get_userbyid(p.pubowner)::text as owner, ${details}
       from pg_publication_rel r
       join pg_publication p on p.oid = r.prpubid
      where r.prrelid = any ($1::oid[])
      order by p.pubname`,
    [`{${oids.join()}}`],
  );
  const members = new Map<number, PublicationMember[]>(oids.map((oid) => [oid, []]));
  for (const { leaf, ...member } of rows) members.get(leaf)?.push(member);
  return members;
}

/** Reads the publications of all tables and of whole schemas. */
export async function readWidePublications(session: Session): Promise<readonly WidePublication[]> {
  const ofSchemas =
    session.server.versionNum < FILTERS_SINCE
      ? ''
      : `union all
         select p.pubname::text, n.nspname::text from pg_publication_namespace s
           join pg_publication p on p.oid = s.pnpubid join pg_namespace n on n.oid = s.pnnspid`;
  const { rows } = await session.run<WidePublication>(
    `select p.pubname::text as name, null as schema from pg_publication p where p.puballtables ${ofSchemas} order by 1, 2`,
  );
  return rows;
}

/** Spells the statement that makes a leaf a member again, with its columns and its rows. */
export function joinPublication({ name, columns, filter }: PublicationMembership, leaf: string): string {
  // No placeholder can hold a filter: it is as PostgreSQL deparsed it.
  const list = columns === null ? '' : ` (${columns.map(quoteIdentifier).join(', ')})`;
  const where = filter === null ? '' : ` where (${filter})`;
  return `alter publication ${quoteIdentifier(name)} add table ${leaf}${list}${where}`;
}

/** Whose publications are, by their names; those that are no more are missing. */
export type PublicationRights = ReadonlyMap<string, 'ours' | 'theirs'>;

/** Reads whether the role may add tables to publications. */
export async function readPublicationRights(
  session: Session,
  names: readonly string[],
): Promise<PublicationRights> {
  if (names.length === 0) return new Map();
  const { rows } = await session.run<{ name: string; ours: boolean }>(
    `select p.pubname::text as name, pg_has_role(p.pubowner, 'usage') as ours
       from pg_publication p where p.pubname = any ($1::text[])`,
    [names],
  );
  return new Map(rows.map(({ name, ours }) => [name, ours ? 'ours' : 'theirs']));
}
