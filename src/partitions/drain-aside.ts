import { printable } from '../cli/table.ts';
import type { RunOptions } from '../db/budget.ts';
import { qualifiedName } from '../db/quote.ts';
import { runTransaction, underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { Step } from '../db/step.ts';
import { inTransaction, reading } from '../db/transaction.ts';
import { type Blocks, copyStatement, type Move } from './drain-move.ts';
import type { Unfinished } from './drain-read.ts';

/** How far the copying has come. */
interface Position {
  readonly nextBlock: number;
  readonly blocks: number;
  /** The table of copies and DEFAULT are the very files that were noted. */
  readonly isIntact: boolean;
}

/** What came of copying: `stale`: it has to begin anew, for DEFAULT or the table of copies is another. */
export type CopyResult = 'copied' | 'stale';

/** Makes the steps that drop the table of copies of a drain that cannot be carried on; DEFAULT has the rows still. */
export function dropSteps(schema: string, { name, leafOid }: Unfinished): readonly Step[] {
  const title = `Drop ${printable(name)}, which was not finished`;
  const relation = qualifiedName(schema, name);
  const locks = [{ relation, mode: 'ACCESS EXCLUSIVE' as const }];
  return [
    `lock table only ${relation} in access exclusive mode`,
    // Whatever has taken that name since is not ours to drop.
    sqlStatement('partitions/drain_verify.sql', { leaf: relation, leaf_oid: String(leafOid) }),
    sqlStatement('partitions/drain_forget.sql', { leaf: relation }),
    sqlStatement('partitions/drain_state.sql', { leaf: relation, state: 'given_up' }),
    sqlStatement('partitions/drain_drop.sql', { schema, leaf: name }),
  ].map((sql) => ({ title, sql, transaction: 1, locks }));
}

/** Makes the step that forgets the drains of a table whose tables of copies somebody dropped. */
export function giveUpGoneSteps(parent: string): readonly Step[] {
  const sql = sqlStatement('partitions/drain_give_up_gone.sql', { parent });
  return [{ title: 'Forget copies that somebody dropped', sql, transaction: 1, locks: [] }];
}

/** Drops the table of copies of a drain that cannot be carried on. */
export async function dropUnfinished(
  session: Session,
  schema: string,
  unfinished: Unfinished,
  options: RunOptions,
): Promise<void> {
  await runTransaction(session, dropSteps(schema, unfinished), options);
}

/**
 * Copies the rows of a period, block by block of DEFAULT, each batch in a transaction of its own.
 *
 * Carries on after the last batch that was committed. Ends when it has seen every block that there is by then.
 */
export async function copyInBatches(
  session: Session,
  move: Move,
  pagesPerBatch: number,
  options: RunOptions,
  onBatch: (position: number) => void,
): Promise<CopyResult> {
  for (;;) {
    const result = await copyBatch(session, move, pagesPerBatch, options);
    if (result === 'stale') return 'stale';
    onBatch(result.blocks === 0 ? 1 : result.nextBlock / result.blocks);
    if (result.nextBlock >= result.blocks) return 'copied';
  }
}

async function copyBatch(
  session: Session,
  move: Move,
  pagesPerBatch: number,
  options: RunOptions,
): Promise<Position | 'stale'> {
  const relation = qualifiedName(move.default.schema, move.default.name);
  const title = `Copy the rows of ${printable(move.leaf.name)}`;
  const locks = [{ relation, mode: 'ACCESS SHARE' as const }];
  const { lockTimeoutMs } = options.budget;
  return await underBudget(session, title, locks, options, () =>
    inTransaction(session, { access: 'read write', lockTimeoutMs }, async () => {
      await session.run('set local row_security to off');
      const position = await holdPosition(session, move);
      if (!position.isIntact) return 'stale';
      const { nextBlock, blocks } = position;
      if (nextBlock >= blocks) return position;
      const next: Blocks = { first: nextBlock, last: Math.min(nextBlock + pagesPerBatch, blocks) };
      await session.run(copyStatement(move, next));
      await session.run(
        'update sensordb.drain set next_block = $1::bigint where leaf_oid = $2::regclass and state = $3',
        [String(next.last), asideOf(move), 'copying'],
      );
      return { ...position, nextBlock: next.last };
    }),
  );
}

function asideOf({ table, aside }: Move): string {
  return qualifiedName(table.schema, aside);
}

/** Locks DEFAULT against being rewritten and reads how far the copying has come. */
export async function holdPosition(session: Session, move: Move): Promise<Position> {
  const relation = qualifiedName(move.default.schema, move.default.name);
  await session.run(`lock table only ${relation} in access share mode`);
  const { rows } = await session.run<Position>(
    `select r.next_block::float8 as "nextBlock",
            (pg_relation_size(f.oid) / current_setting('block_size')::int8)::float8 as blocks,
            r.default_file = f.relfilenode and r.leaf_file = l.relfilenode as "isIntact"
       from sensordb.drain r
       join pg_class f on f.oid = r.default_oid and f.oid = $2::regclass
       join pg_class l on l.oid = r.leaf_oid
      where r.leaf_oid = $1::regclass and r.state in ('copying', 'indexed')`,
    [asideOf(move), relation],
  );
  return rows[0] ?? { nextBlock: 0, blocks: 0, isIntact: false };
}

/** Counts the pages that hold so many rows of the period, on average. */
export async function pagesFor(
  session: Session,
  move: Move,
  rows: number,
  batchRows: number,
): Promise<number> {
  const { rows: found } = await reading(session, () =>
    session.run<{ blocks: number }>(
      `select (pg_relation_size($1::oid) / current_setting('block_size')::int8)::float8 as blocks`,
      [move.default.oid],
    ),
  );
  const blocks = found[0]?.blocks ?? 1;
  return Math.max(1, Math.min(MOST_PAGES, Math.floor((batchRows * blocks) / Math.max(1, rows))));
}

/** A batch reads no more than half a gigabyte, however few rows of the period it finds. */
const MOST_PAGES = 65_536;
