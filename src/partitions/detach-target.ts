import { failure, usageError } from '../cli/errors.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import type { LeafTask } from './leaf-tasks.ts';

/**
 * Asks for a name that SET SCHEMA would find taken, of relations or of types (42P07, 42710): by what is there, or by two of the
 * tables that are moved. With a table go its indexes, the sequences that its columns own, its row type and the array of that; with a leaf
 * its own partitions beside it (14 to 18).
 */
const TARGET = `
  with recursive tree (oid, home) as (
    select c.oid, c.relnamespace from pg_class c where c.oid = any ($2::oid[])
    union
    select c.oid, t.home from tree t
      join pg_inherits i on i.inhparent = t.oid join pg_class c on c.oid = i.inhrelid
  ),
  moved as (
    select c.oid, c.reltype, c.relname from tree t join pg_class c on c.oid = t.oid and c.relnamespace = t.home
  ),
  relation as (
    select relname as name from moved
    union all
    select i.relname from moved m join pg_index x on x.indrelid = m.oid join pg_class i on i.oid = x.indexrelid
    union all
    select s.relname
      from moved m
      join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = m.oid and d.classid = 'pg_class'::regclass
                      and d.deptype in ('a', 'i')
      join pg_class s on s.oid = d.objid and s.relkind = 'S'
  ),
  type as (
    select y.typname as name
      from moved m join pg_type t on t.oid = m.reltype join pg_type y on y.oid in (t.oid, t.typarray)
  )
  select has_schema_privilege(n.oid, 'create') as creates,
         (select format('%I.%I', n.nspname, r.name)
            from (
              select name from relation where exists (select from pg_class o where o.relname = name and o.relnamespace = n.oid)
              union all
              select name from type where exists (select from pg_type o where o.typname = name and o.typnamespace = n.oid)
              union all
              select name from relation group by name having count(*) > 1
            ) r limit 1) as taken
    from pg_namespace n where n.nspname = $1`;

/**
 * Makes sure, before anything is changed, that leaves can be moved into the schema that was asked for.
 *
 * Throws usage errors when there is no such schema, or a name is taken there.
 */
export async function requireTarget(
  session: Session,
  schema: string | null,
  tasks: readonly LeafTask[],
): Promise<void> {
  if (schema === null) return;
  const moving = tasks.filter(
    ({ leaf, targetSchema, isSelected }) => isSelected && targetSchema === schema && leaf.schema !== schema,
  );
  const { rows } = await session.run<{ creates: boolean; taken: string | null }>(TARGET, [
    schema,
    moving.map(({ leaf }) => String(leaf.oid)),
  ]);
  const [found] = rows;
  const option = '--into-schema';
  if (found === undefined) {
    throw usageError('unknown_schema', `There is no schema ${schema}.`, {
      object: option,
      hint: `Make it: CREATE SCHEMA ${quoteIdentifier(schema)}.`,
    });
  }
  if (!found.creates) {
    const role = quoteIdentifier(session.server.user);
    throw failure(
      'insufficient_privilege',
      `Role ${session.server.user} may not create tables in schema ${schema}.`,
      {
        sqlstate: SQLSTATE.insufficientPrivilege,
        object: schema,
        hint: `GRANT CREATE ON SCHEMA ${quoteIdentifier(schema)} TO ${role}.`,
      },
    );
  }
  if (found.taken === null) return;
  throw usageError('name_taken', `The name ${found.taken} is taken: the leaf cannot be moved there.`, {
    object: found.taken,
    hint: 'Rename what is there, or choose another schema.',
  });
}
