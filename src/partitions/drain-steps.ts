import { printable } from '../cli/table.ts';
import type { LockMode } from '../db/lock-modes.ts';
import { qualifiedName, quoteIdentifier } from '../db/quote.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { type Step, type StepLock, strongestLocks } from '../db/step.ts';
import { formatBound } from '../time/instant.ts';
import { catchUpStatement, copyStatement, type Move, moveStatement, tailStatement } from './drain-move.ts';
import type { ForeignKey } from './drain-read.ts';
import { type GuardSteps, guardSteps, guardTarget } from './guard.ts';
import { attachStatement, leafParts } from './leaf-steps.ts';
import type { LeafTemplate } from './leaf-template.ts';

/** How a period's rows change places: decided when it is planned. */
export interface DrainWay {
  /** Triggers on DEFAULT would fire, and must not. */
  readonly asReplica: boolean;
  /** DEFAULT refuses rows of the period meanwhile, so that ATTACH need not scan it. */
  readonly guarded: boolean;
  /** Foreign keys that the table gets before ATTACH, which would otherwise look at every row while everybody waits. */
  readonly keys: readonly ForeignKey[];
}

/** The steps of one period, in the order in which they are run. */
export interface DrainSteps {
  /** Makes the table and notes it. */
  readonly begin: readonly Step[];
  /** Shown by `--dry-run`; a run copies in batches. */
  readonly copy: readonly Step[];
  /** Brings the copies up to date and makes the indexes. */
  readonly index: readonly Step[];
  /** Does the first half of that again; not shown, for it is sent only when many rows came in meanwhile. */
  readonly catchUp: readonly Step[];
  /** Null: none is needed. */
  readonly guard: GuardSteps | null;
  /** What the last transaction does: first its settings, */
  readonly settings: readonly Step[];
  /** then it moves the rows that did not change since they were copied; a run does so in pieces, */
  readonly move: Step;
  /** and, under a guard, all the others; */
  readonly rest: readonly Step[];
  /** then what it does while everybody waits. */
  readonly change: readonly Step[];
}

/** The CHECK that an unfinished leaf has on its bounds. */
const CHECK = 'sensordb_drain';

/** Settings under which rows are read and moved, and why. */
function settings(title: string): readonly Step[] {
  return [
    // Rows that a policy hides would stay behind unseen: off makes it an error (42501).
    'set local row_security to off',
    // The tables of versions were never analyzed: for a join of two of them the planner could choose a nested loop.
    'set local enable_nestloop to off',
  ].map((sql) => ({ title, sql, transaction: 1, locks: [] }));
}

/** Makes the steps of one period. `shortTimeoutMs` bounds each wait once everybody waits for us. */
export function drainSteps(
  move: Move,
  template: LeafTemplate,
  taken: Set<string>,
  way: DrainWay,
  attachLocks: readonly StepLock[],
  shortTimeoutMs: number,
): DrainSteps {
  const { table, leaf, aside } = move;
  const parts = leafParts(table, { name: aside, range: leaf.range }, leaf.name, template, taken);
  const copyTitle = `Copy the rows of ${printable(leaf.name)}`;
  const indexTitle = `Index ${printable(leaf.name)}`;
  const catchUp = [...settings(indexTitle), step(indexTitle, catchUpStatement(move), copyLocks(move))];
  return {
    begin: beginSteps(move, parts.table),
    copy: [...settings(copyTitle), step(copyTitle, copyStatement(move, null), copyLocks(move))],
    index: [
      ...catchUp,
      ...parts.finish.map((one) => ({
        ...one,
        title: indexTitle,
        locks: asideLock(move, 'ACCESS EXCLUSIVE'),
      })),
      step(indexTitle, stateStatement(move, 'indexed'), []),
    ],
    catchUp,
    guard: way.guarded ? guardSteps(table, move.default, leaf) : null,
    ...lastSteps(move, way, attachLocks, shortTimeoutMs),
  };
}

function beginSteps(move: Move, create: readonly Step[]): readonly Step[] {
  const { table, leaf, aside } = move;
  const title = `Make ${printable(aside)} for the rows of ${printable(leaf.name)}`;
  const own = { schema: table.schema, leaf: aside };
  const [lower, upper] = bounds(move);
  const check = { ...own, constraint: CHECK, key: table.key, lower, upper };
  return [
    ...create.map((one) => ({ ...one, title })),
    step(title, sqlStatement('partitions/drain_add_check.sql', check), []),
    step(title, noteStatement(move), []),
  ];
}

function noteStatement({ table, default: from, leaf, aside }: Move): string {
  return sqlStatement('partitions/drain_note.sql', {
    parent: table.qualified,
    default: qualifiedName(from.schema, from.name),
    leaf: qualifiedName(table.schema, aside),
    lower: formatBound(leaf.range.lower, 'timestamptz'),
    upper: formatBound(leaf.range.upper, 'timestamptz'),
  });
}

function stateStatement({ table, aside }: Move, state: 'indexed' | 'done'): string {
  return sqlStatement('partitions/drain_state.sql', { leaf: qualifiedName(table.schema, aside), state });
}

function lastSteps(
  move: Move,
  way: DrainWay,
  attachLocks: readonly StepLock[],
  shortTimeoutMs: number,
): Pick<DrainSteps, 'settings' | 'move' | 'rest' | 'change'> {
  const { table, leaf, aside } = move;
  const title = `Attach ${printable(leaf.name)} with the rows of its period`;
  const file = (name: string, values: Readonly<Record<string, string>>) =>
    sqlStatement(`partitions/${name}`, values);
  const moved = [...copyLocks(move, 'ROW EXCLUSIVE')];
  const guard = guardSteps(table, move.default, leaf);
  const tail = step(title, tailStatement(move), moved);
  const aName = { schema: table.schema, leaf: aside };
  const own = { schema: table.schema, leaf: leaf.name };
  const wholeAside = asideLock(move, 'ACCESS EXCLUSIVE');
  return {
    settings: [
      ...settings(title),
      ...(way.asReplica ? [step(title, file('drain_replica_role.sql', {}), [])] : []),
    ],
    move: step(title, moveStatement(move, null), moved),
    // While the guard stands nothing can come in any more.
    rest: way.guarded ? [tail, ...guard.validate.map((one) => ({ ...one, title, transaction: 1 }))] : [],
    change: [
      ...keySteps(move, way.keys, title),
      step(title, file('lock_parent.sql', { parent_schema: table.schema, parent: table.name }), [
        { relation: table.qualified, mode: 'ACCESS EXCLUSIVE' },
      ]),
      step(title, file('set_local_lock_timeout.sql', { timeout: `${shortTimeoutMs}ms` }), []),
      step(title, file('lock_default.sql', guardTarget(move.default)), defaultLock(move, 'ACCESS EXCLUSIVE')),
      ...(way.guarded ? [] : [tail]),
      step(title, stateStatement(move, 'done'), []),
      step(title, file('drain_rename.sql', { ...aName, name: leaf.name }), wholeAside),
      // By then the table goes by its name as a leaf.
      step(
        title,
        attachStatement(table, leaf),
        strongestLocks([
          ...attachLocks,
          ...wholeAside,
          // A key that the leaf has is joined to the parent's: its triggers are dropped on the referenced table (14 to 18).
          ...way.keys.map(({ references }) => ({ relation: references, mode: 'ACCESS EXCLUSIVE' as const })),
        ]),
      ),
      step(title, file('drop_constraint.sql', { ...own, constraint: CHECK }), wholeAside),
      ...(way.guarded ? guard.drop.map((one) => ({ ...one, title, transaction: 1 })) : []),
    ],
  };
}

/** Gives the table its foreign keys; who writes into a referenced table waits meanwhile, who refers to it does not. */
function keySteps(move: Move, keys: readonly ForeignKey[], title: string): readonly Step[] {
  const { table, aside } = move;
  const relation = qualifiedName(table.schema, aside);
  return keys.flatMap(({ name, definition, references }) => [
    step(title, `alter table ${relation} add constraint ${quoteIdentifier(name)} ${definition} not valid`, [
      { relation: references, mode: 'SHARE ROW EXCLUSIVE' },
      ...asideLock(move, 'SHARE ROW EXCLUSIVE'),
    ]),
    step(
      title,
      sqlStatement('partitions/fk_validate.sql', { schema: table.schema, leaf: aside, constraint: name }),
      [{ relation: references, mode: 'ROW SHARE' }, ...asideLock(move, 'SHARE UPDATE EXCLUSIVE')],
    ),
  ]);
}

function step(title: string, sql: string, locks: readonly StepLock[]): Step {
  return { title, sql, transaction: 1, locks };
}

function bounds({ table, leaf }: Move): readonly [string, string] {
  return [formatBound(leaf.range.lower, table.keyType), formatBound(leaf.range.upper, table.keyType)];
}

function asideLock({ table, aside }: Move, mode: LockMode): readonly StepLock[] {
  return [{ relation: qualifiedName(table.schema, aside), mode }];
}

function defaultLock({ default: from }: Move, mode: LockMode): readonly StepLock[] {
  return [{ relation: qualifiedName(from.schema, from.name), mode }];
}

function copyLocks(move: Move, onDefault: LockMode = 'ACCESS SHARE'): readonly StepLock[] {
  return [...defaultLock(move, onDefault), ...asideLock(move, 'ROW EXCLUSIVE')];
}
