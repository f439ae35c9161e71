import { failure, usageError } from '../cli/errors.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import type { LeafTask } from './leaf-tasks.ts';

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
  const moving = tasks.filter(({ leaf, targetSchema }) => targetSchema === schema && leaf.schema !== schema);
  const { rows } = await session.run<{ creates: boolean; taken: string | null }>(
    `select has_schema_privilege(n.oid, 'create') as creates,
            (select format('%I.%I', n.nspname, o.relname)
               from pg_class m
               left join pg_index x on x.indexrelid = m.oid or x.indrelid = m.oid
               join pg_class i on i.oid = m.oid or i.oid = x.indexrelid
               join pg_class o on o.relname = i.relname and o.relnamespace = n.oid
              where m.oid = any ($2::oid[]) and m.relnamespace <> n.oid limit 1) as taken
       from pg_namespace n where n.nspname = $1`,
    [schema, `{${moving.map(({ leaf }) => leaf.oid).join()}}`],
  );
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
