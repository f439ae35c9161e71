import { BEGINNING, END, fromDate, type Instant, parseInstant, type Range } from '../time/instant.ts';
import { type RangeRow, rangeOf } from './hour-ranges.ts';
import { HOUR } from './hours.ts';
import type { Source } from './source.ts';
import type { Coverage } from './status-coverage.ts';
import { type Finding, findingsOf } from './status-findings.ts';
import type { HeldLeaf } from './status-leaves.ts';
import type { RunRow, StatusFacts } from './status-read.ts';

/** How the aggregates of a source are, as it is shown. */
export interface StatusView {
  readonly source: Source;
  readonly setUp: boolean;
  /** Null: unknown, or nothing is clean. */
  readonly cleanUntil: Instant | null;
  readonly lagSeconds: number | null;
  readonly gate: Instant | null;
  readonly dirtyHours: number | null;
  /** Whole ranges that are still to be counted, or again. */
  readonly pending: readonly (Range & { readonly reason: 'pending' | 'changedLeaf' })[];
  /** Null: without end. */
  readonly pendingHours: number | null;
  readonly retired: readonly Range[];
  readonly skippedHours: number | null;
  /** Null: somebody has locked the aggregates, or the role may not read them. */
  readonly coverage: Coverage | null;
  readonly runs: readonly RunRow[];
  readonly heldLeaves: readonly HeldLeaf[];
  readonly findings: readonly Finding[];
}

/** What a view is made from. */
export interface StatusInput {
  readonly source: Source;
  /** Null: never set up. */
  readonly facts: StatusFacts | null;
  readonly coverage: Coverage | null;
  readonly now: Date;
  readonly maxLagSeconds: number | null;
}

/** Works out how the aggregates are; pure. */
export function viewStatus(input: StatusInput): StatusView {
  const { source, facts, coverage, now } = input;
  const ranges = facts?.ranges ?? [];
  const of = (reason: RangeRow['reason']): readonly Range[] =>
    ranges.filter((row) => row.reason === reason).map(rangeOf);
  const pending = (['pending', 'changedLeaf'] as const).flatMap((reason) =>
    of(reason).map((range) => ({ ...range, reason })),
  );
  const earliest = facts === null ? BEGINNING : cleanUntilOf(facts);
  const cleanUntil = earliest === BEGINNING ? null : earliest;
  const lagSeconds =
    cleanUntil === null ? null : Math.max(0, Number((fromDate(now) - cleanUntil) / 1_000_000n));
  return {
    source,
    setUp: facts !== null,
    cleanUntil,
    lagSeconds,
    gate: parseInstant(facts?.totals.gate ?? ''),
    dirtyHours: facts?.totals.dirtyHours ?? null,
    pending: pending.toSorted((a, b) => (a.lower < b.lower ? -1 : 1)),
    pendingHours: facts === null ? null : hoursOf(pending),
    retired: of('retired'),
    skippedHours: facts?.totals.skippedHours ?? null,
    coverage,
    runs: facts?.runs ?? [],
    heldLeaves: (facts?.leaves ?? []).filter((leaf) => isHeld(leaf, fromDate(now))),
    findings: findingsOf(input, { cleanUntil, lagSeconds }),
  };
}

/** The earliest hour that is not right, or not final. */
function cleanUntilOf({ ranges, totals }: StatusFacts): Instant {
  const instants = [
    totals.cleanUntil,
    ...(totals.firstDirty === null ? [] : [totals.firstDirty]),
    ...ranges
      .filter(({ reason }) => reason === 'pending' || reason === 'changedLeaf')
      .map(({ lower }) => lower),
  ].map((text) => parseInstant(text) ?? BEGINNING);
  return instants.reduce((a, b) => (b < a ? b : a));
}

function hoursOf(ranges: readonly Range[]): number | null {
  if (ranges.some(({ lower, upper }) => lower === BEGINNING || upper === END)) return null;
  return ranges.reduce((sum, { lower, upper }) => sum + Number((upper - lower) / HOUR), 0);
}

/**
 * Hours that are not over keep nothing that retention would take: neither DEFAULT nor a leaf whose time has not passed.
 *
 * Of a leaf whose time has, they are hours whose writers are still at it.
 */
function isHeld({ upper, reasons }: HeldLeaf, now: Instant): boolean {
  return reasons.some((reason) => reason !== 'open') || (parseInstant(upper) ?? END) <= now;
}
