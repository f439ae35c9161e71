import type { SensordbError } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { runTransaction } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import type { Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import type { Instant } from '../time/instant.ts';
import type { Interval } from '../time/periods.ts';
import type { Scene } from './change.ts';
import { compare } from './coverage.ts';
import { NO_MOVES, type PreparedMoves, prepareMoves } from './drain.ts';
import { dropUnfinished, giveUpGoneSteps } from './drain-aside.ts';
import { type MovedPeriod, type MovedPeriods, runMoves } from './drain-moves.ts';
import { askedPeriods, type LeftRows, leftRows, saneRange } from './drain-plan.ts';
import { readDefaultGroups, readDrainFacts } from './drain-read.ts';
import type { DrainRequest } from './drain-request.ts';
import type { MoveOptions } from './drain-run.ts';
import { type Conflict, type NewLeaf, planEnsure } from './ensure-plan.ts';
import { readRowsInTheWay, readTakenNames } from './ensure-read.ts';
import { inferInterval, sketchPeriods } from './ensure-sketch.ts';
import { leftGuardSteps } from './guard.ts';
import {
  type Quarantine,
  quarantineCreateSteps,
  quarantineSteps,
  readQuarantine,
  readReferences,
  referencedRows,
  runQuarantine,
} from './quarantine.ts';
import { requireQuarantine } from './quarantine-target.ts';
import { type Partitions, readPartitions } from './read.ts';

/** What is to be done with the rows of DEFAULT. */
export interface PreparedDrain {
  readonly table: PartitionedTable;
  readonly partitions: Partitions;
  readonly interval: Interval | null;
  readonly moves: PreparedMoves;
  readonly conflicts: readonly Conflict[];
  readonly left: readonly LeftRows[];
  readonly quarantine: {
    readonly to: Quarantine;
    readonly create: readonly Step[];
    readonly batch: readonly Step[];
    /** What `--dry-run` shows for all batches. */
    readonly all: readonly Step[];
  } | null;
  /** Null without DEFAULT. */
  readonly defaultRows: number | null;
}

/** Reads and plans a drain: which rows go into which leaves, which stay, and by which SQL; changes nothing. */
export async function prepareDrain(scene: Scene, request: DrainRequest): Promise<PreparedDrain> {
  const { session, table, now, run } = scene;
  await requireQuarantine(session, table, request.quarantine);
  const partitions = await reading(session, () => readPartitions(session, table));
  const nothing = { table, partitions, moves: NO_MOVES, conflicts: [], left: [], quarantine: null };
  const { default: from } = partitions;
  if (from === null) return { ...nothing, interval: request.interval, defaultRows: null };
  const interval = request.interval ?? inferInterval(table.name, partitions.leaves);
  const sane = saneRange(request, interval, now);
  const groups = await readDefaultGroups(session, table, from, interval, sane, run);
  const starts = askedPeriods(groups, request, interval);
  const sketch = sketchPeriods(table, partitions.leaves, starts, interval);
  const taken = await reading(session, () => readTakenNames(session, table));
  const rows =
    sketch.holes.length === 0
      ? new Map()
      : await readRowsInTheWay(session, table, partitions, sketch.holes, run);
  const holes = sketch.holes.filter(({ range }) => rows.has(range.lower));
  const plan = planEnsure(
    table,
    { interval, range: { lower: 0n, upper: 0n }, existing: sketch.existing, holes },
    partitions,
    { taken, defaultRows: rows },
    true,
  );
  const moves = await prepareMoves(
    session,
    table,
    { ...partitions, default: from },
    plan.drain,
    taken,
    request,
    run,
  );
  const left = leftRows(groups, request, sane);
  const wantsQuarantine = left.length > 0 && request.quarantine !== null;
  const references = wantsQuarantine ? await reading(session, () => readReferences(session, from)) : [];
  const held = references.length === 0 ? [] : referencedRows(from, left, references);
  return {
    table,
    partitions,
    interval,
    moves: {
      ...moves,
      abandoned: moves.abandoned.filter(({ lower, upper }) => isAsked(request, lower, upper)),
    },
    conflicts: [...plan.conflicts, ...moves.conflicts, ...held].toSorted((a, b) =>
      compare(a.range.lower, b.range.lower),
    ),
    left,
    quarantine:
      left.length === 0 || held.length > 0
        ? null
        : await prepareQuarantine(scene, request, partitions, left, sane),
    defaultRows: groups.reduce((sum, { rows: { count } }) => sum + count, 0),
  };
}

function isAsked({ from, until }: DrainRequest, lower: Instant, upper: Instant): boolean {
  return (from === null || upper > from) && (until === null || lower < until);
}

async function prepareQuarantine(
  { session, table }: Scene,
  request: DrainRequest,
  { default: from }: Partitions,
  left: readonly LeftRows[],
  sane: ReturnType<typeof saneRange>,
): Promise<PreparedDrain['quarantine']> {
  const { quarantine } = request;
  if (from === null || quarantine === null) return null;
  return await reading(session, async () => {
    const to = await readQuarantine(session, table, quarantine);
    const { columns } = await readDrainFacts(session, table, from);
    const steps = (batch: number | null) => quarantineSteps(table, from, to, columns, left, sane, batch);
    return {
      to,
      create: quarantineCreateSteps(table, to),
      batch: steps(request.batchRows),
      all: steps(null),
    };
  });
}

/** What a drain came to. */
export interface DrainResult {
  readonly drained: readonly MovedPeriod[];
  readonly conflicts: readonly Conflict[];
  readonly left: readonly LeftRows[];
  /** Null when nothing was to be quarantined. */
  readonly quarantined: number | null;
  readonly defaultRows: number | null;
  /** Those while whose moving DEFAULT refused rows, and whether it still does. */
  readonly guarded: readonly NewLeaf[];
  readonly isGuardLeft: boolean;
  /** What ended it before its time; what is drained stands all the same. */
  readonly error: SensordbError | null;
}

/** Carries a drain out, period by period; never throws for what one of them came to. */
export async function runDrain(
  prepared: PreparedDrain,
  scene: Scene,
  request: DrainRequest,
): Promise<DrainResult> {
  const { session, run, update } = scene;
  const { partitions, quarantine, left } = prepared;
  const options: MoveOptions = { run, batchRows: request.batchRows, update };
  const { default: from } = partitions;
  let moved: MovedPeriods = { drained: [], conflicts: [], guarded: [], isGuardLeft: false, error: null };
  let error: SensordbError | null = null;
  let quarantined: number | null = null;
  try {
    await cleanUp(session, prepared, options);
    if (from !== null) moved = await runMoves(session, from, prepared.moves.moves, options);
    if (moved.error === null && quarantine !== null) {
      update(`Moving rows into ${quarantine.to.name}`);
      quarantined = await runQuarantine(session, quarantine.create, quarantine.batch, run);
    }
  } catch (thrown) {
    error = toSensordbError(session.signal.aborted ? session.signal.reason : thrown);
  }
  const gone = moved.drained.reduce((sum, { rows }) => sum + rows, 0) + (quarantined ?? 0);
  return {
    drained: moved.drained,
    conflicts: [...prepared.conflicts, ...moved.conflicts],
    left: quarantined === null ? left : [],
    quarantined,
    defaultRows: prepared.defaultRows === null ? null : Math.max(0, prepared.defaultRows - gone),
    guarded: moved.guarded,
    isGuardLeft: moved.isGuardLeft,
    error: moved.error ?? error,
  };
}

/** Removes what earlier runs left that is of no use, a guard first: it refuses live rows. */
async function cleanUp(
  session: Session,
  { table, partitions, moves }: PreparedDrain,
  { run }: MoveOptions,
): Promise<void> {
  const guard = leftGuardSteps(partitions.default);
  if (guard.length > 0) await runTransaction(session, guard, run);
  // Where there is nothing to drain, sensordb's own tables may not have been made.
  if (moves.moves.length + moves.abandoned.length > 0) {
    await runTransaction(session, giveUpGoneSteps(table.qualified), run);
  }
  for (const unfinished of moves.abandoned) await dropUnfinished(session, table.schema, unfinished, run);
}
