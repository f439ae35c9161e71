import { qualifiedName } from '../db/quote.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { Step } from '../db/step.ts';
import type { Range } from '../time/instant.ts';
import { type BoundCheck, checkPhases, chooseCheckName } from './bound-check.ts';
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

/** Makes the phase that notes a table which sensordb did not detach, so that the next run can carry on. */
export function adoptPhase(scene: LockScene, leaf: LeafFacts, range: Range, bound: string): Phase {
  return {
    kind: 'transaction',
    title: `Note ${leaf.name}`,
    statements: [
      guard(scene, leaf, 'detached'),
      note('note_adopted.sql', scene, { leaf: { ...leaf, bound }, range }, {}),
    ],
  };
}

/**
 * Makes the phases that attach a leaf: its CHECK first, if it lacks it, then all the rest in one transaction.
 *
 * ATTACH comes last but for what has to come after it: others wait for its locks only.
 */
export function attachPhases(scene: LockScene, task: AttachTask, check: BoundCheck | null): readonly Phase[] {
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
      sql: sqlStatement('partitions/drop_exclusion.sql', {
        schema: homeSchema,
        leaf: leaf.name,
        constraint,
      }),
      locks: wholeLeaf(leaf, 'ACCESS EXCLUSIVE'),
    })),
    { sql: sqlStatement('partitions/note_attached.sql', { leaf_oid: String(leaf.oid) }) },
    {
      sql: attachWithBound(scene.table, { schema: homeSchema, name: leaf.name }, bound),
      // Until it is committed, others see it where it was.
      locks: attachLocks(scene, leaf),
    },
    {
      sql: sqlStatement('partitions/drop_check.sql', {
        schema: homeSchema,
        leaf: leaf.name,
        check: checkName,
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
