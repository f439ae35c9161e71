import type { Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { END, parseInstant, type Range } from '../time/instant.ts';
import { hoursABatch, takeStatement } from './changes.ts';
import { countHours, countRange, type Span } from './count.ts';
import { lockStatement, readMembers, SEE_ALL_ROWS, settleStatement } from './counting.ts';
import { formatHour, toInstant } from './hours.ts';
import { groupByLeaf, type ReadingsLeaf, readLeaves, relationsWithin } from './leaves.ts';
import { readOpenSpans } from './open-hours.ts';
import { type Piece, pieceStatements, planPieces } from './pending.ts';
import { dueAfterSetup, readChanges, readPendingAfter, readStored, recounted } from './preview-due.ts';
import { recountStatement } from './recount.ts';
import type { CountingScene } from './scene.ts';
import { advanceSteps, setupSteps } from './setup.ts';
import { isSetUp, type SourceState } from './state.ts';

/** What a run is asked for. */
export interface WorkRequest {
  /** Of a backfill; null: all that a refresh does. */
  readonly range: Range | null;
  /** The range is counted whatever was counted before. */
  readonly recount: boolean;
}

/** What a run would do if nothing came in between: its steps, a list for each piece of work, and the ranges it would count. */
interface PlannedWork {
  readonly work: readonly (readonly Step[])[];
  readonly pieces: readonly Piece[];
}

/** Plans what a run would do, from what is there now; changes nothing. */
export async function planWork(
  scene: CountingScene,
  state: SourceState,
  { range, recount }: WorkRequest,
): Promise<PlannedWork> {
  const { session, source } = scene;
  // A clock that was put back moves nothing back.
  const hour = Math.max(scene.hour, state.cleanUntilHour ?? scene.hour);
  const leaves = await reading(session, () => readLeaves(session, source));
  const plan = { scene, state, leaves };
  const due = isSetUp(state)
    ? await reading(session, () => readPendingAfter(session, state, hour))
    : dueAfterSetup(leaves, state, hour);
  const again = recount && range !== null ? recounted(range, due, toInstant(hour)) : [];
  const pending = [...due, ...again];
  const wanted = { id: state.id, cleanUntil: toInstant(hour), range };
  const { splits, pieces } = planPieces(pending, leaves, wanted);
  const stored = await reading(session, () => readStored(session, source, pieces));
  const work: (readonly Step[])[] = [
    ...(await readySteps(plan, hour)),
    recount && range !== null ? [step(plan, recountStatement(state.id, range))] : [],
    splits.map((text) => step(plan, text)),
    ...pieces.map((piece, at) => pieceSteps(plan, piece, stored[at] === true)),
    ...(range === null && state.hasChanges ? await changeSteps(plan, pieces) : []),
    ...(range === null ? await openSteps(plan, hour) : []),
  ];
  return { work: work.filter((steps) => steps.length > 0), pieces };
}

/** The steps by which a source gets ready: it is set up where it is not, the gate moves, and what is pending is noted. */
async function readySteps(plan: Plan, hour: number): Promise<readonly (readonly Step[])[]> {
  const { scene, state, leaves } = plan;
  const { session, source } = scene;
  const isReady = isSetUp(state);
  const relations = leaves.flatMap((leaf) => leaf.relations);
  // A setup moves the gate, and notes the leaves.
  const after = isReady ? state : { ...state, gateHour: hour, leavesMoved: false };
  const { gate, note } = advanceSteps(source, after, hour);
  if (!isReady) return [setupSteps(source, state, hour, relations), noteSteps(plan, note, false)];
  const { haveLeft } = await reading(session, () => readMembers(session, source, state.id));
  return [gate, noteSteps(plan, note, haveLeft)];
}

function noteSteps(plan: Plan, note: readonly Step[], haveLeft: boolean): readonly Step[] {
  if (note.length === 0) return [];
  const { source } = plan.scene;
  const [see, lock, ...others] = inCounting(
    plan,
    note.map(({ sql: text }) => ({ text, span: null })),
  );
  const stored = { relation: source.aggregatesQualified, mode: 'ACCESS SHARE' } as const;
  const leave = haveLeft ? [step(plan, settleStatement(plan.state.id), [stored])] : [];
  return [see, lock, ...leave, ...others].filter((one) => one !== undefined);
}

interface Plan {
  readonly scene: CountingScene;
  readonly state: SourceState;
  readonly leaves: readonly ReadingsLeaf[];
}

function step({ scene }: Plan, text: string, locks: Step['locks'] = []): Step {
  return { title: `Count the readings of ${scene.source.table.qualified}`, sql: text, transaction: 1, locks };
}

/** The statements of a transaction that counts; those with a span read the leaves of it. */
function inCounting(
  plan: Plan,
  statements: readonly { readonly text: string; readonly span: Span | null }[],
): readonly Step[] {
  const { source } = plan.scene;
  const table = { relation: source.table.qualified, mode: 'ACCESS SHARE' } as const;
  return [
    step(plan, SEE_ALL_ROWS),
    step(plan, lockStatement(source), [table]),
    ...statements.map(({ text, span }) =>
      step(
        plan,
        text,
        span === null
          ? []
          : [
              table,
              ...relationsWithin(span, plan.leaves).map(
                (relation) => ({ relation, mode: 'ACCESS SHARE' }) as const,
              ),
              { relation: source.aggregatesQualified, mode: 'ROW EXCLUSIVE' } as const,
            ],
      ),
    ),
  ];
}

function pieceSteps(plan: Plan, piece: Piece, hasStored: boolean): readonly Step[] {
  const { source } = plan.scene;
  const { take, memory, count } = pieceStatements(source, plan.state.id, piece);
  const stored = { relation: source.aggregatesQualified, mode: 'ACCESS SHARE' } as const;
  const [see, lock, ...others] = inCounting(plan, [
    { text: memory, span: null },
    { text: count(hasStored)('moments'), span: piece.span },
  ]);
  return [see, lock, step(plan, take, [stored]), ...others].filter((one) => one !== undefined);
}

/** What the log says now, without what the pieces take with them. */
async function changeSteps(plan: Plan, pieces: readonly Piece[]): Promise<readonly (readonly Step[])[]> {
  const { session, source } = plan.scene;
  const logged = await reading(session, () => readChanges(session, plan.state.id));
  const left = logged.filter(({ hour }) => {
    const at = parseInstant(hour) ?? END;
    return !pieces.some(({ range }) => range.lower <= at && at < range.upper);
  });
  const limit = hoursABatch(plan.leaves);
  const batches = Array.from({ length: Math.ceil(left.length / limit) }, (_, at) =>
    left.slice(at * limit, (at + 1) * limit),
  );
  return batches.map((batch) =>
    inCounting(plan, [
      { text: takeStatement(plan.state.id, limit), span: null },
      ...groupByLeaf(
        batch.filter(({ is_frozen }) => !is_frozen),
        plan.leaves,
      ).map(({ hours, span }) => ({ text: countHours(source, hours, span, 'moments'), span })),
    ]),
  );
}

async function openSteps(plan: Plan, hour: number): Promise<readonly (readonly Step[])[]> {
  const { session, source } = plan.scene;
  const spans = await reading(session, () => readOpenSpans(session, source, formatHour(hour)));
  return spans.map((span) => inCounting(plan, [{ text: countRange(source, span, 'moments'), span }]));
}
