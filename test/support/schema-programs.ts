import type { TransactionSql } from 'postgres';

/** A function or an aggregate. */
export interface RoutineFacts {
  readonly name: string;
  readonly isAggregate: boolean;
  /** As in CREATE, with names and default values, and as in COMMENT. */
  readonly arguments: string;
  readonly signature: string;
  /** What stands between the arguments and the body, or in an aggregate's parentheses, a line each. */
  readonly clauses: readonly string[];
  readonly body: string;
  /** Gives rows of a table, or names one: it is made after the tables, others before, since their indexes may call it. */
  readonly needsTables: boolean;
  readonly comment: string | null;
}

/** A view and its query. */
export interface ViewFacts {
  readonly name: string;
  readonly query: string;
  readonly comment: string | null;
}

/** Reads the functions, aggregates and views of a schema; functions come before the aggregates that may be made of them. */
export async function readPrograms(
  sql: TransactionSql,
  schema: string,
): Promise<{ readonly routines: readonly RoutineFacts[]; readonly views: readonly ViewFacts[] }> {
  return {
    routines: [...(await readFunctions(sql, schema)), ...(await readAggregates(sql, schema))],
    views: await sql<ViewFacts[]>`
      select c.relname as name, pg_get_viewdef(c.oid, true) as query, obj_description(c.oid, 'pg_class') as comment
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and c.relkind = 'v' order by c.relname collate "C"`,
  };
}

// search_path is a list of names that stands in the catalog with its quotes; the others are single values.
function readFunctions(sql: TransactionSql, schema: string): PromiseLike<RoutineFacts[]> {
  return sql<RoutineFacts[]>`
    select p.proname as name, false as "isAggregate", pg_get_function_arguments(p.oid) as arguments,
      pg_get_function_identity_arguments(p.oid) as signature, p.prosrc as body,
      obj_description(p.oid, 'pg_proc') as comment,
      exists (
        select from pg_depend d left join pg_type y on d.refclassid = 'pg_type'::regclass and y.oid = d.refobjid
         where d.classid = 'pg_proc'::regclass and d.objid = p.oid
           and (d.refclassid = 'pg_class'::regclass or y.typtype = 'c')) as "needsTables",
      array_remove(array[
        'returns ' || pg_get_function_result(p.oid),
        'language ' || l.lanname,
        case p.provolatile when 'i' then 'immutable' when 's' then 'stable' end,
        case when p.proisstrict then 'strict' end,
        case when p.prosecdef then 'security definer' end,
        case p.proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' end
      ], null) || array(
        select case when s like 'search_path=%' then 'set search_path to ' || substr(s, 13)
                    else format('set %I to %L', split_part(s, '=', 1), substr(s, strpos(s, '=') + 1)) end
          from unnest(p.proconfig) s) as clauses
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    join pg_language l on l.oid = p.prolang
    where n.nspname = ${schema} and p.prokind = 'f'
    order by p.proname collate "C"`;
}

function readAggregates(sql: TransactionSql, schema: string): PromiseLike<RoutineFacts[]> {
  return sql<RoutineFacts[]>`
    select p.proname as name, true as "isAggregate", pg_get_function_arguments(p.oid) as arguments,
      pg_get_function_identity_arguments(p.oid) as signature, '' as body,
      obj_description(p.oid, 'pg_proc') as comment, false as "needsTables",
      array_remove(array[
        format('sfunc = %s', a.aggtransfn),
        format('stype = %s', format_type(a.aggtranstype, null)),
        case when a.aggfinalfn <> 0 then format('finalfunc = %s', a.aggfinalfn) end,
        case when a.aggfinalextra then 'finalfunc_extra' end,
        case when a.aggcombinefn <> 0 then format('combinefunc = %s', a.aggcombinefn) end,
        format('initcond = %L', a.agginitval),
        case when p.proparallel = 's' then 'parallel = safe' end
      ], null) as clauses
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    join pg_aggregate a on a.aggfnoid = p.oid
    where n.nspname = ${schema}
    order by p.proname collate "C"`;
}
