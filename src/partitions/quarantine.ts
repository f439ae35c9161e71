import { usageError } from '../cli/errors.ts';
import { printable } from '../cli/table.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier } from '../db/quote.ts';
import { runTransaction, underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { Step } from '../db/step.ts';
import { parseTableName } from '../db/table-name.ts';
import { inTransaction } from '../db/transaction.ts';
import type { LeftRows } from './drain-plan.ts';
import { insaneKinds, type Sane } from './drain-read.ts';
import { countMoved, moveBatch } from './quarantine-batch.ts';
import type { DefaultPartition } from './read.ts';

/** The table that takes rows no partition should exist for. */
export interface Quarantine {
  readonly schema: string;
  readonly name: string;
  readonly exists: boolean;
}

/**
 * Finds the table that the user named for rows no partition should exist for; without a schema it is one beside the parent.
 *
 * Throws usage errors for what is no ordinary table, or is a partition.
 */
export async function readQuarantine(
  session: Session,
  table: PartitionedTable,
  text: string,
): Promise<Quarantine> {
  const { schema, spellings } = parseTableName(text);
  const { rows } = await session.run<{ schema: string; name: string; isPlain: boolean }>(
    `select n.nspname as schema, c.relname as name,
            c.relkind = 'r' and not c.relispartition
              and not exists (select from pg_inherits i where c.oid in (i.inhrelid, i.inhparent)) as "isPlain"
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relname = any ($1::text[]) and n.nspname = any ($2::text[])`,
    [JSON.stringify(spellings), JSON.stringify(schema ?? [table.schema])].map(asArray),
  );
  const found = spellings.flatMap((name) => rows.filter((row) => row.name === name))[0];
  if (found === undefined) {
    return { schema: schema?.[0] ?? table.schema, name: spellings[0] ?? text, exists: false };
  }
  if (found.isPlain) return { schema: found.schema, name: found.name, exists: true };
  throw usageError('bad_quarantine', `${qualifiedName(found.schema, found.name)} is no ordinary table.`, {
    object: text,
    hint: 'Name a table that is no partition, or one that does not exist yet: it is made.',
  });
}

/** Spells an array of texts as PostgreSQL reads it. */
function asArray(json: string): string {
  return `{${(JSON.parse(json) as string[]).map((one) => JSON.stringify(one)).join()}}`;
}

/** Makes the steps that move rows into quarantine; `batch` is how many, null: all that there are. */
export function quarantineSteps(
  table: PartitionedTable,
  from: DefaultPartition,
  to: Quarantine,
  columns: readonly string[],
  left: readonly LeftRows[],
  sane: Sane,
  batch: number | null,
): readonly Step[] {
  const [source, target] = [qualifiedName(from.schema, from.name), qualifiedName(to.schema, to.name)];
  const title = `Move rows of ${printable(source)} into ${printable(target)}`;
  const names = columns.map(quoteIdentifier).join(', ');
  const chosen = leftCondition(table, left, sane);
  const rows =
    batch === null
      ? chosen
      : `d.ctid = any (array(select d.ctid from ${source} d where ${chosen} limit ${batch})) and (${chosen})`;
  const move = `with gone as (
  delete from ${source} d where ${rows} returning ${columns.map((column) => `d.${quoteIdentifier(column)}`).join(', ')}
), moved as (
  insert into ${target} (${names}) select ${names} from gone returning 1
)
${countMoved(target)}`;
  return [
    { title, sql: 'set local row_security to off', transaction: 1, locks: [] },
    {
      title,
      sql: move,
      transaction: 1,
      locks: [
        { relation: source, mode: 'ROW EXCLUSIVE' },
        { relation: target, mode: 'ROW EXCLUSIVE' },
      ],
    },
  ];
}

/** Makes the steps that make the table, if it is not there. */
export function quarantineCreateSteps(table: PartitionedTable, to: Quarantine): readonly Step[] {
  if (to.exists) return [];
  return [
    {
      title: `Make ${printable(qualifiedName(to.schema, to.name))}`,
      sql: sqlStatement('partitions/quarantine_create.sql', {
        schema: to.schema,
        table: to.name,
        parent_schema: table.schema,
        parent: table.name,
      }),
      transaction: 1,
      locks: [{ relation: table.qualified, mode: 'ACCESS SHARE' }],
    },
  ];
}

function leftCondition(table: PartitionedTable, left: readonly LeftRows[], sane: Sane): string {
  const kinds = insaneKinds(table, sane);
  const tests = left.map(({ reason, lower }) => {
    if (reason !== 'out_of_range') return kinds[reason];
    return `isfinite(d.${quoteIdentifier(table.key)}) and ${lower === null ? kinds.too_early : kinds.too_late}`;
  });
  return tests.map((test) => `(${test})`).join(' or ');
}

/** Moves the rows in batches, each in one statement of its own; gives how many. */
export async function runQuarantine(
  session: Session,
  create: readonly Step[],
  move: readonly Step[],
  options: RunOptions,
): Promise<number> {
  if (create.length > 0) await runTransaction(session, create, options);
  const locks = move.flatMap((step) => step.locks);
  const { lockTimeoutMs } = options.budget;
  let total = 0;
  for (;;) {
    const moved = await underBudget(session, move[0]?.title ?? '', locks, options, () =>
      inTransaction(session, { access: 'read write', lockTimeoutMs }, () => moveBatch(session, move)),
    );
    // A trigger may keep rows from being deleted: then there is an end to it all the same.
    if (moved === 0) return total;
    total += moved;
  }
}
