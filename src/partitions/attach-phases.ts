import { qualifiedName } from '../db/quote.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { Step } from '../db/step.ts';
import type { Range } from '../time/instant.ts';
import { addCheckPhases, type BoundCheck, checkPhases, chooseCheckName } from './bound-check.ts';
import { attachWithBound } from './bound-text.ts';
import type { PublicationMembership } from './detached.ts';
import type { GuardSteps } from './guard.ts';
import type { LeafFacts } from './leaf-facts.ts';
import { guard, moves, note, wholeLeaf } from './leaf-statements.ts';
import type { Phase, Statement } from './leaf-work.ts';
import { attachLocks, type LockScene } from './locks.ts';
import { joinPublication } from './publications.ts';

/** A leaf that is to be attached. */
export interface AttachTask {
  readonly leaf: LeafFacts;
  readonly bound: string;
  /** Where it was before it was detached. */
  readonly homeSchema: string;
  readonly publications: readonly PublicationMembership[];
  /** Null unless DEFAULT is to be guarded for the moment. */
  readonly guard: GuardSteps | null;
}

/** The CHECK on a table that is no leaf yet; what an interrupted run has left is known by that name. */
export const ADOPTION_CHECK = 'sensordb_bounds';

/** Makes the phase that takes the CHECK from a table again that did not become a leaf. */
export function disownPhase(leaf: LeafFacts): Phase {
  return { kind: 'transaction', title: `Leave ${leaf.name}`, statements: [dropLeftCheck(leaf)] };
}

function dropLeftCheck(leaf: LeafFacts): Statement {
  return {
    sql: sqlStatement('partitions/drop_left_check.sql', {
      schema: leaf.schema,
      leaf: leaf.name,
      check: ADOPTION_CHECK,
    }),
    locks: wholeLeaf(leaf, 'ACCESS EXCLUSIVE'),
  };
}

/**
 * Makes the phases that attach a table which sensordb did not detach.
 *
 * It is noted in the transaction that attaches it, and not before: until then it is its owner's, and no leaf that a drop may
 * find.
 */
export function adoptPhases(scene: LockScene, task: AttachTask, range: Range): readonly Phase[] {
  const { leaf, bound } = task;
  const left = leaf.constraints.includes(ADOPTION_CHECK) ? [disownPhase(leaf)] : [];
  const noted = note('note_adopted.sql', scene, { leaf: { ...leaf, bound }, range }, {});
  const check = { name: ADOPTION_CHECK, isValid: true };
  return [
    ...left,
    ...addCheckPhases(scene, leaf, bound, ADOPTION_CHECK, []),
    ...attachPhases(scene, task, check, [noted]),
  ];
}

/**
 * Makes the phases that attach a leaf: its CHECK first, if it lacks it, then all the rest in one transaction.
 *
 * ATTACH comes last but for what has to come after it: others wait for its locks only.
 */
export function attachPhases(
  scene: LockScene,
  task: AttachTask,
  check: BoundCheck | null,
  notes: readonly Statement[] = [],
): readonly Phase[] {
  const { leaf, bound, homeSchema } = task;
  const checkName = check?.name ?? chooseCheckName(leaf, scene.table);
  const home = qualifiedName(homeSchema, leaf.name);
  const statements: readonly Statement[] = [
    guard(scene, leaf, 'detached'),
    ...moves(leaf, homeSchema),
    ...task.publications.map((publication) => ({
      sql: joinPublication(publication, home),
      locks: [{ relation: leaf.relation, mode: 'SHARE UPDATE EXCLUSIVE' as const }],
    })),
    ...leaf.exclusions.map((constraint) => ({
      sql: sqlStatement('partitions/drop_constraint.sql', {
        schema: homeSchema,
        leaf: leaf.name,
        constraint,
      }),
      locks: wholeLeaf(leaf, 'ACCESS EXCLUSIVE'),
    })),
    { sql: sqlStatement('partitions/note_attached.sql', { leaf_oid: String(leaf.oid) }) },
    ...notes,
    {
      sql: attachWithBound(scene.table, { schema: homeSchema, name: leaf.name }, bound),
      // Until it is committed, others see it where it was.
      locks: attachLocks(scene, leaf),
    },
    // All of this goes by name: a table that had got the name since the first guard is let go again.
    guard(scene, { ...leaf, schema: homeSchema, bound: null }, 'attached'),
    {
      sql: sqlStatement('partitions/drop_constraint.sql', {
        schema: homeSchema,
        leaf: leaf.name,
        constraint: checkName,
      }),
      locks: wholeLeaf(leaf, 'ACCESS EXCLUSIVE'),
    },
    ...(task.guard?.drop ?? []),
  ];
  return [
    ...checkPhases(scene, leaf, bound, check),
    ...guardPhases(task.guard),
    { kind: 'transaction', title: `Attach ${leaf.name}`, statements },
  ];
}

function guardPhases(guard: GuardSteps | null): readonly Phase[] {
  return guard === null ? [] : [guard.add, guard.validate].flatMap(phaseOf);
}

/** Makes a phase of steps that share a transaction; none of none. */
export function phaseOf(steps: readonly Step[]): readonly Phase[] {
  const [first] = steps;
  return first === undefined ? [] : [{ kind: 'transaction', title: first.title, statements: steps }];
}
