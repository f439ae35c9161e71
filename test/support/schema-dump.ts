import type { Sql } from 'postgres';
import { quoteIdentifier as name, quoteLiteral } from '../../src/db/quote.ts';
import {
  type ColumnFacts,
  type OwnedFacts,
  readSchema,
  type SchemaFacts,
  type TableFacts,
} from './schema-catalog.ts';
import type { RoutineFacts, ViewFacts } from './schema-programs.ts';

/**
 * Writes a schema as SQL that makes the same one again, the same text on every version of PostgreSQL.
 *
 * Names are unqualified: it runs with a search_path of one empty schema. Definitions of constraints, indexes and
 * expressions are as PostgreSQL spells them; indexes and constraints that a partition has from its parent are left out.
 */
export async function dumpSchema(sql: Sql, schema: string): Promise<string> {
  const facts = await sql.begin((transaction) => readSchema(transaction, schema));
  const tables = inOrderOfNeed(facts.tables);
  const parts = [
    ...facts.routines.filter(({ needsTables }) => !needsTables).map(dumpRoutine),
    ...tables.map((table) => dumpTable(table, facts)),
    ...facts.routines.filter(({ needsTables }) => needsTables).map(dumpRoutine),
    ...facts.views.map(dumpView),
  ];
  return `${parts.join('\n\n')}\n`;
}

function dumpRoutine(routine: RoutineFacts): string {
  const { isAggregate, arguments: list, signature, clauses, body } = routine;
  const kind = isAggregate ? 'aggregate' : 'function';
  const head = `create ${kind} ${name(routine.name)}(${list})`;
  return [
    isAggregate
      ? `${head} (\n  ${clauses.join(',\n  ')}\n);`
      : `${head}\n${clauses.join('\n')}\nas $$${body}$$;`,
    comment(`${kind} ${name(routine.name)}(${signature})`, routine.comment),
  ]
    .filter((line) => line !== '')
    .join('\n');
}

function dumpView(view: ViewFacts): string {
  return [
    `create view ${name(view.name)} as\n${view.query}`,
    comment(`view ${name(view.name)}`, view.comment),
  ]
    .filter((line) => line !== '')
    .join('\n');
}

function inOrderOfNeed(tables: readonly TableFacts[]): readonly TableFacts[] {
  const ordered: TableFacts[] = [];
  let left = tables;
  while (left.length > 0) {
    const ready = left.find(({ needs }) => needs.every((need) => ordered.some((done) => done.name === need)));
    if (ready === undefined) throw new Error('Tables of the schema refer to each other in a circle.');
    ordered.push(ready);
    left = left.filter((table) => table !== ready);
  }
  return ordered;
}

function dumpTable(table: TableFacts, facts: SchemaFacts): string {
  const own = <T extends { table: string }>(list: readonly T[]) =>
    list.filter((item) => item.table === table.name);
  const sequences = own(facts.sequences);
  return [
    ...sequences.map((sequence) => `create sequence ${name(sequence.name)} ${sequence.definition};`),
    table.parent === null
      ? createTable(table, own(facts.columns), own(facts.constraints))
      : createPartition(table, own(facts.constraints)),
    ...sequences.map((s) => `alter sequence ${name(s.name)} owned by ${name(s.table)}.${name(s.column)};`),
    ...own(facts.indexes).map((index) => `${index.definition.replace(' ON ONLY ', ' ON ')};`),
    ...dumpComments(table, facts),
  ].join('\n');
}

function createTable(
  table: TableFacts,
  columns: readonly ColumnFacts[],
  constraints: readonly OwnedFacts[],
): string {
  const lines = [...columns.map(dumpColumn), ...constraints.map(dumpConstraint)];
  return `create table ${name(table.name)} (\n  ${lines.join(',\n  ')}\n)${tableTail(table)};`;
}

function createPartition(table: TableFacts, constraints: readonly OwnedFacts[]): string {
  const local = constraints.length === 0 ? '' : ` (\n  ${constraints.map(dumpConstraint).join(',\n  ')}\n)`;
  const parent = name(table.parent ?? '');
  return `create table ${name(table.name)} partition of ${parent}${local} ${table.bound}${tableTail(table)};`;
}

function tableTail({ partitionKey, options }: TableFacts): string {
  return `${partitionKey === null ? '' : ` partition by ${partitionKey}`}${options === null ? '' : ` with (${options})`}`;
}

function dumpColumn(column: ColumnFacts): string {
  return [
    name(column.name),
    column.type,
    column.collation === null ? '' : `collate ${column.collation}`,
    dumpValue(column),
    column.notNull ? 'not null' : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}

function dumpValue({ identity, generated, expression }: ColumnFacts): string {
  if (identity !== '') return `generated ${identity === 'a' ? 'always' : 'by default'} as identity`;
  if (expression === null) return '';
  if (generated === '') return `default ${expression}`;
  const oneLine = expression.replace(/\s+/g, ' ').trim();
  return `generated always as (${oneLine}) ${generated === 's' ? 'stored' : 'virtual'}`;
}

function dumpConstraint(constraint: OwnedFacts): string {
  return `constraint ${name(constraint.name)} ${constraint.definition}`;
}

function dumpComments(table: TableFacts, facts: SchemaFacts): readonly string[] {
  const on = name(table.name);
  const columns = facts.columns.filter((column) => column.table === table.name);
  const described = (owned: readonly OwnedFacts[], say: (item: OwnedFacts) => string) =>
    owned.filter((item) => item.table === table.name).map((item) => comment(say(item), item.comment));
  return [
    comment(`table ${on}`, table.comment),
    ...columns.map((column) => comment(`column ${on}.${name(column.name)}`, column.comment)),
    ...described(facts.constraints, (item) => `constraint ${name(item.name)} on ${on}`),
    ...described(facts.indexes, (item) => `index ${name(item.name)}`),
    ...described(facts.sequences, (item) => `sequence ${name(item.name)}`),
  ].filter((line) => line !== '');
}

function comment(object: string, text: string | null): string {
  return text === null ? '' : `comment on ${object} is ${quoteLiteral(text)};`;
}
