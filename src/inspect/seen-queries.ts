import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import type { Scene } from './scene.ts';
import { PREPARED } from './statement-text.ts';

/** A query of the application. */
export interface Query {
  readonly text: string;
  readonly from: 'config' | 'pg_stat_statements';
}

/** What pg_stat_statements has seen. */
interface Statements {
  readonly statements: readonly Query[];
  /** How many are of other roles, whose texts the role may not see. */
  readonly hidden: number;
}

/** Lists the statements that took the most time, of those that name one of the tables or what stands for it. */
export async function readStatements(
  scene: Scene,
  tables: readonly { readonly names: readonly string[] }[],
): Promise<Statements> {
  const { session, capabilities } = scene;
  const schema = capabilities.pgStatStatements;
  if (schema === null) return { statements: [], hidden: 0 };
  await session.run('savepoint statements');
  try {
    return await selectStatements(scene, schema, tables);
  } catch (thrown) {
    // It is installed, and not loaded by shared_preload_libraries (55000).
    if (sqlstateOf(thrown) !== SQLSTATE.objectNotInPrerequisiteState) throw thrown;
    await session.run('rollback to savepoint statements');
    return { statements: [], hidden: 0 };
  }
}

/** What reads, without comments, as a POSIX expression; of INSERT only what takes its rows from elsewhere: the others would crowd out all else. */
const READING =
  '^[\\s(]*((select|with|update|delete|merge|table)\\M|insert\\M.*\\mselect\\M|(declare|prepare)\\M.*\\m(select|with|table)\\M)';

async function selectStatements(
  { session, threshold }: Scene,
  schema: string,
  tables: readonly { readonly names: readonly string[] }[],
): Promise<Statements> {
  const names = tables.flatMap((table) => table.names).map((name) => name.replaceAll(/[\\%_]/g, '\\$&'));
  // With pg_stat_statements.track_planning what a former inspection planned stands there, too.
  // Only the role's own: planning a statement runs the IMMUTABLE functions in it, with the rights of whoever plans. Of one that the role
  // may not see the queryid is null (14 to 18).
  const { rows } = await session.run<{ query: string | null; hidden: number }>(
    `with statement as materialized (
       select s.query, s.queryid, s.total_exec_time,
              s.userid = (select r.oid from pg_roles r where r.rolname = current_user) as is_own,
              regexp_replace(regexp_replace(s.query, '/\\*.*?\\*/', '', 'g'), '--[^\\n]*', '', 'g') ~* $3 and strpos(s.query, $4) = 0 and s.query ilike any (select '%' || n || '%' from jsonb_array_elements_text($1::jsonb) n) as is_wanted
         from ${schema}.pg_stat_statements s
        where s.dbid = (select d.oid from pg_database d where d.datname = current_database())
     )
     (select s.query, 0 as hidden from statement s
       where s.is_own and s.queryid is not null and s.is_wanted
       order by s.total_exec_time desc, s.queryid limit $2::int)
     union all
     select null, count(*)::int from statement s
      where s.queryid is null or not s.is_own and s.is_wanted`,
    [JSON.stringify(names), threshold('statements'), READING, PREPARED],
  );
  return {
    statements: rows.flatMap(({ query }) =>
      query === null ? [] : [{ text: query, from: 'pg_stat_statements' as const }],
    ),
    hidden: rows.reduce((sum, { hidden }) => sum + hidden, 0),
  };
}
