import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import type { Instant } from '../time/instant.ts';
import { type Interval, periodCeiling, periodStart } from '../time/periods.ts';
import { compare } from './coverage.ts';
import { type DefaultScan, tooLarge } from './default-scan.ts';
import type { DefaultGroup, DrainFacts, Sane } from './drain-read.ts';
import { type DrainRequest, NOT_BEFORE, notAfterOf } from './drain-request.ts';
import type { DrainWay } from './drain-steps.ts';
import type { Conflict, DefaultRows } from './ensure-plan.ts';
import type { DefaultPartition } from './read.ts';

/** Rows that stay in DEFAULT, and why. */
export interface LeftRows {
  /** Null: no such end. */
  readonly lower: Instant | null;
  readonly upper: Instant | null;
  readonly reason: 'out_of_range' | 'infinite' | 'null_key';
  readonly rows: DefaultRows;
}

/** Gives the range in which a partition may exist: all periods of an interval that lie in what was asked, even in part. */
export function saneRange(
  request: Pick<DrainRequest, 'notBefore' | 'notAfter'>,
  interval: Interval,
  now: Instant,
): Sane {
  // A period is sane when it ends after the first instant and begins before the second.
  const lower = periodStart(request.notBefore, interval);
  const upper = periodCeiling(notAfterOf(request, now), interval);
  return { lower, upper: upper > lower ? upper : lower };
}

/** Gives the range in which a partition may exist when nobody says otherwise. */
export function usualSaneRange(interval: Interval, now: Instant): Sane {
  return saneRange({ notBefore: NOT_BEFORE, notAfter: null }, interval, now);
}

/** Lists the beginnings of the periods that have rows and were asked for, in ascending order. */
export function askedPeriods(
  groups: readonly DefaultGroup[],
  request: DrainRequest,
  interval: Interval,
): readonly Instant[] {
  const from = request.from === null ? null : periodStart(request.from, interval);
  const until = request.until === null ? null : periodCeiling(request.until, interval);
  return groups
    .flatMap(({ start }) => (start === null ? [] : [start]))
    .filter((start) => (from === null || start >= from) && (until === null || start < until))
    .toSorted(compare);
}

/** Lists the rows that no partition should exist for, as far as they were asked for. */
export function leftRows(
  groups: readonly DefaultGroup[],
  { from, until }: DrainRequest,
  sane: Sane,
): readonly LeftRows[] {
  return groups.flatMap(({ kind, rows }): readonly LeftRows[] => {
    switch (kind) {
      case 'period':
        return [];
      case 'too_early':
        return from === null ? [{ lower: null, upper: sane.lower, reason: 'out_of_range', rows }] : [];
      case 'too_late':
        return until === null ? [{ lower: sane.upper, upper: null, reason: 'out_of_range', rows }] : [];
      default:
        return from === null && until === null ? [{ lower: null, upper: null, reason: kind, rows }] : [];
    }
  });
}

/** What is done about the triggers on DEFAULT and about its size: a way, or a conflict for every period. */
export type Judgement =
  | { readonly way: Omit<DrainWay, 'keys'>; readonly conflict: null }
  | { readonly way: null; readonly conflict: Omit<Conflict, 'range'> };

/** Decides whether and how rows can be moved out of DEFAULT; pure. */
export function judgeDrain(
  table: PartitionedTable,
  defaultPartition: DefaultPartition,
  facts: DrainFacts,
  scan: DefaultScan | null,
  guardDefault: boolean,
): Judgement {
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  const refuse = (conflict: Omit<Conflict, 'range'>): Judgement => ({ way: null, conflict });
  if (defaultPartition.isPlain === false) {
    return refuse({
      reason: 'default_not_plain',
      message: `${relation} is partitioned further or a foreign table.`,
      hint: `Move its rows by hand, or detach it from ${table.qualified} first.`,
    });
  }
  const refusal = refusalOf(relation, facts);
  if (refusal !== null) return refuse(refusal);
  if (scan !== null && !guardDefault) return refuse(tooLarge(table, defaultPartition, scan));
  return { way: { asReplica: fires(facts), guarded: scan !== null }, conflict: null };
}

const fires = ({ triggers, foreignKeys }: DrainFacts): boolean => triggers.length + foreignKeys.length > 0;

/** Says why rows are not moved out of a DEFAULT, given as SQL spells it, whatever its size; null: they can be. Pure. */
export function refusalOf(relation: string, facts: DrainFacts): Omit<Conflict, 'range'> | null {
  if (facts.widePublications.length > 0) {
    return {
      reason: 'published',
      message: `${facts.widePublications.join(', ')} would send subscribers the copies of rows of ${relation}, as rows of a table that they do not have.`,
      hint: `A publication of all tables or of the schema takes the table of copies in: publish the tables by name instead (CREATE PUBLICATION … FOR TABLE …), then run this again.`,
    };
  }
  if (facts.publications.length > 0) {
    const [publication] = facts.publications;
    return {
      reason: 'published',
      message: `${facts.publications.join(', ')} would send subscribers that rows were deleted from ${relation}, and not that they are in a new leaf.`,
      hint: `Stop publishing deletes for the time: ALTER PUBLICATION ${publication} SET (publish = 'insert, update'), drain, set it back, and refresh the subscriptions.`,
    };
  }
  if (facts.alwaysFiring.length > 0) {
    return {
      reason: 'triggers_would_fire',
      message: `${facts.alwaysFiring.join(', ')} on ${relation} fires even for a session of role replica.`,
      hint: `Let it not: ALTER TABLE ${relation} ENABLE TRIGGER …; then run this again.`,
    };
  }
  return fires(facts) && !facts.mayBeReplica ? refuseTriggers(relation, facts) : null;
}

function refuseTriggers(relation: string, { foreignKeys, triggers }: DrainFacts): Omit<Conflict, 'range'> {
  const hint =
    'Run it as a superuser, or (from PostgreSQL 15 on) GRANT SET ON PARAMETER session_replication_role to the role: then they do not fire.';
  return foreignKeys.length > 0
    ? {
        reason: 'referenced',
        message: `Moving rows out of ${relation} would fire the triggers of ${foreignKeys.join(', ')} as if they were deleted.`,
        hint,
      }
    : {
        reason: 'triggers_would_fire',
        message: `Moving rows out of ${relation} would fire ${triggers.join(', ')} as if they were deleted.`,
        hint,
      };
}
