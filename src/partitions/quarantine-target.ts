import { usageError } from '../cli/errors.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { unfitSchema } from './ordinary-schema.ts';
import { type Quarantine, readQuarantine } from './quarantine.ts';

/** What would have a quarantine lose rows, or refuse them. */
interface TargetFacts {
  readonly schemaExists: boolean;
  readonly isPermanent: boolean;
  /** The user's own row triggers on INSERT: one that returns NULL throws the row away. */
  readonly triggers: readonly string[];
  readonly rules: readonly string[];
  readonly isFiltered: boolean;
  readonly isLeafOf: string | null;
  /** What is wrong with which column. */
  readonly columns: readonly string[];
}

/**
 * Makes sure, before anything is changed, that a table named for quarantine keeps every row it is given; null: none was.
 *
 * Throws usage errors, whether or not there is a row to quarantine now.
 */
export async function requireQuarantine(
  session: Session,
  table: PartitionedTable,
  text: string | null,
): Promise<void> {
  if (text === null) return;
  await reading(session, async () => {
    const to = await readQuarantine(session, table, text);
    const unfit = unfitSchema(to.schema, '--quarantine');
    if (unfit !== null) throw unfit;
    const facts = await readTargetFacts(session, table, to);
    if (!facts.schemaExists) {
      throw usageError('unknown_schema', `There is no schema ${to.schema}.`, {
        object: '--quarantine',
        hint: `Make it: CREATE SCHEMA ${quoteIdentifier(to.schema)}.`,
      });
    }
    const relation = qualifiedName(to.schema, to.name);
    const [flaw] = to.exists ? flawsOf(facts, relation, table) : [];
    if (flaw !== undefined)
      throw usageError('bad_quarantine', flaw.message, { object: text, hint: flaw.hint });
  });
}

interface Flaw {
  readonly message: string;
  readonly hint: string;
}

function flawsOf(facts: TargetFacts, relation: string, table: PartitionedTable): readonly Flaw[] {
  const { triggers, rules, columns, isLeafOf } = facts;
  const flaws: Flaw[] = [];
  const other = 'or name a table that does not exist yet: it is made.';
  const add = (message: string, remedy: string) => flaws.push({ message, hint: `${remedy}, ${other}` });
  if (!facts.isPermanent) {
    add(`${relation} is unlogged: a crash of the server empties it.`, `ALTER TABLE ${relation} SET LOGGED`);
  }
  if (isLeafOf !== null) {
    add(
      `${relation} belongs to ${isLeafOf}: it is a leaf that was detached, or is being filled.`,
      'Name another table',
    );
  }
  if (triggers.length > 0) {
    add(
      `${relation} has a trigger that may change or drop what is inserted: ${triggers.join(', ')}.`,
      `ALTER TABLE ${relation} DISABLE TRIGGER ${triggers[0]}`,
    );
  }
  if (rules.length > 0) {
    add(
      `${relation} has a rule, which may turn rows away: ${rules.join(', ')}.`,
      `DROP RULE ${rules[0]} ON ${relation}`,
    );
  }
  if (facts.isFiltered) {
    add(
      `Row security of ${relation} is in force for this role: rows may be turned away.`,
      `Run it as the owner of ${relation} or as a role with BYPASSRLS`,
    );
  }
  if (columns.length > 0) {
    add(
      `The columns of ${relation} cannot take the rows of ${table.qualified}: ${columns.join(', ')}.`,
      `ALTER TABLE ${relation} so that it has them`,
    );
  }
  return flaws;
}

// 4 is TRIGGER_TYPE_INSERT, 1 is TRIGGER_TYPE_ROW. Triggers of foreign keys and deferrable keys are internal: they refuse
// aloud. A disabled rule counts, since rewriting is decided when the statement is planned, after we have looked.
const TARGET_FACTS = `
  select (select count(*) > 0 from pg_namespace n where n.nspname = $2) as "schemaExists",
         coalesce(t.relpersistence = 'p', true) as "isPermanent",
         array_to_json(array(select quote_ident(g.tgname) from pg_trigger g
           where g.tgrelid = t.oid and not g.tgisinternal and g.tgtype & 5 = 5 and g.tgenabled <> 'D'
           order by 1)) as triggers,
         array_to_json(array(select quote_ident(r.rulename) from pg_rewrite r where r.ev_class = t.oid order by 1)) as rules,
         coalesce(row_security_active(t.oid), false) as "isFiltered",
         array_to_json(array(
           select case when c.attname is null then quote_ident(p.attname) || ' is missing'
                       when (p.atttypid, p.atttypmod) <> (c.atttypid, c.atttypmod)
                       then format('%I is %s, not %s', p.attname, format_type(c.atttypid, c.atttypmod), format_type(p.atttypid, p.atttypmod))
                       when c.attgenerated <> '' then quote_ident(p.attname) || ' is generated'
                       when c.attidentity = 'a' then quote_ident(p.attname) || ' is generated always as identity' end
             from pg_attribute p
             left join pg_attribute c on c.attrelid = t.oid and c.attname = p.attname and c.attnum > 0 and not c.attisdropped
            where p.attrelid = $1::oid and p.attnum > 0 and not p.attisdropped and p.attgenerated = ''
              and (c.attname is null or (p.atttypid, p.atttypmod) <> (c.atttypid, c.atttypmod)
                   or c.attgenerated <> '' or c.attidentity = 'a')
            order by p.attnum)) as columns,
         t.oid::text as oid
    from (select 1) one
    left join pg_class t on t.relname = $3 and t.relnamespace = (select n.oid from pg_namespace n where n.nspname = $2)`;

async function readTargetFacts(
  session: Session,
  table: PartitionedTable,
  { schema, name }: Quarantine,
): Promise<TargetFacts> {
  const { rows } = await session.run<Omit<TargetFacts, 'isLeafOf'> & { oid: string | null }>(TARGET_FACTS, [
    String(table.oid),
    schema,
    name,
  ]);
  const { oid, ...facts } = rows[0] as Omit<TargetFacts, 'isLeafOf'> & { oid: string | null };
  return { ...facts, isLeafOf: oid === null ? null : await ownerOfLeaf(session, oid) };
}

/** Finds the table that a detached leaf, or the table of copies of a drain, belongs to. */
async function ownerOfLeaf(session: Session, oid: string): Promise<string | null> {
  const known = await session.run<{ detached: boolean; drained: boolean }>(
    `select to_regclass('sensordb.detached_leaf') is not null as detached,
            to_regclass('sensordb.drain') is not null as drained`,
  );
  const { detached, drained } = known.rows[0] ?? { detached: false, drained: false };
  const queries = [
    ...(detached
      ? [
          `select format('%I.%I', d.parent_schema, d.parent_name) as parent from sensordb.detached_leaf d
            where d.leaf_oid = $1::oid and d.state in ('detaching', 'detached')`,
        ]
      : []),
    ...(drained
      ? [
          `select d.parent_oid::regclass::text as parent from sensordb.drain d
            where d.leaf_oid = $1::oid and d.state in ('copying', 'indexed')`,
        ]
      : []),
  ];
  for (const query of queries) {
    const [row] = (await session.run<{ parent: string }>(query, [oid])).rows;
    if (row !== undefined) return row.parent;
  }
  return null;
}
