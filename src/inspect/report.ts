import type { PartitionedTable } from '../db/catalog.ts';
import { formatInstant, fromDate } from '../time/instant.ts';
import type { KnownFinding } from './baseline.ts';
import type { Finding } from './check.ts';
import { FIX_PHASES, type Fix } from './fix.ts';
import type { NotYet } from './run.ts';
import type { Suppressed } from './suppressions.ts';

/** All that an inspection came to: what every format shows. */
export interface Report {
  readonly database: string;
  readonly versionNum: number;
  readonly table: PartitionedTable | null;
  /** By this machine's clock. */
  readonly now: Date;
  /** The gravest first; without those that are suppressed, or were known before. */
  readonly findings: readonly Finding[];
  readonly suppressed: readonly Suppressed[];
  /** What `--baseline` makes of it; null: there is none. */
  readonly baseline: {
    readonly known: readonly Finding[];
    readonly resolved: readonly KnownFinding[];
  } | null;
  readonly passed: readonly string[];
  readonly notYet: readonly NotYet[];
  /** From which severity on it fails. */
  readonly failOn: 'critical' | 'warning';
}

/** The report as the `data` of the JSON envelope. */
export function reportData(report: Report) {
  const { database, versionNum, now, table, findings, suppressed, baseline, passed, notYet } = report;
  return {
    database,
    server: Math.floor(versionNum / 10_000),
    at: formatInstant(fromDate(now)),
    table: table === null ? null : { schema: table.schema, name: table.name },
    findings: findings.map(findingData),
    suppressed: suppressed.map(({ finding, by: { reason, until, place } }) => ({
      ...findingData(finding),
      suppression: { reason, until, place },
    })),
    baseline:
      baseline === null
        ? null
        : { known: baseline.known.map(keyData), resolved: baseline.resolved.map(keyData) },
    passed,
    notYet: notYet.map(({ check, ripeAt, needs }) => ({
      check,
      ripeAt: ripeAt === null ? null : formatInstant(fromDate(ripeAt)),
      ...(needs === undefined ? {} : { needs }),
    })),
  };
}

function findingData({ check, severity, object, key, message, evidence, fixes }: Finding) {
  const irreversible = fixes.filter(({ isIrreversible }) => isIrreversible === true);
  return {
    check,
    severity,
    object,
    key: key ?? null,
    message,
    evidence,
    fix: fixes.map(({ text }) => text),
    irreversible: irreversible.map(({ text }) => text),
  };
}

function keyData({ check, severity, object, key }: KnownFinding) {
  return { check, severity, object, key: key ?? null };
}

/** A fix, and all findings that it mends. */
export interface OrderedFix {
  readonly fix: Fix;
  readonly findings: readonly Finding[];
}

/**
 * Puts the fixes of all findings into a safe order, each once. Left out are those of what is unknown, which mend nothing but let the
 * role see more; of notes, which need no mending; and those that others of them overtake, which the next inspection prints if it is
 * still needed.
 */
export function fixesInOrder(findings: readonly Finding[]): readonly OrderedFix[] {
  const byText = new Map<string, { readonly fix: Fix; readonly findings: Finding[] }>();
  for (const finding of findings.filter(needsMending)) {
    for (const fix of finding.fixes) {
      const same = byText.get(fix.text);
      if (same === undefined) byText.set(fix.text, { fix, findings: [finding] });
      else same.findings.push(finding);
    }
  }
  const phase = ({ fix }: OrderedFix): number => FIX_PHASES.indexOf(fix.phase);
  return withoutNeeded(withoutOvertaken([...byText.values()]), findings).toSorted(
    (a, b) => phase(a) - phase(b),
  );
}

/** Tells whether a script of fixes is to mend a finding. */
export function needsMending({ severity }: Finding): boolean {
  return severity !== 'unknown' && severity !== 'info';
}

/**
 * What becomes a partition is given the indexes of its parent, and whoever gives partitions indexes may attach one that stands
 * there: it cannot be dropped any more.
 */
function withoutOvertaken(ordered: readonly OrderedFix[]): readonly OrderedFix[] {
  const attached = new Set(ordered.map(({ fix }) => fix.attaches));
  const indexed = new Set(ordered.map(({ fix }) => fix.indexes));
  return ordered.filter(({ fix: { indexes, drops } }) => {
    if (indexes !== undefined && attached.has(indexes)) return false;
    if (drops === undefined) return true;
    return !attached.has(drops.rootTable) && !(drops.isOfPartition && indexed.has(drops.rootTable));
  });
}

/**
 * Without the drop of an index that takes the place of another that is dropped: of two alike, the one that is kept has none of the
 * scans that the other had, and would be dropped for want of them. One that is replaced in its turn may go: of a chain of indexes,
 * each of which does for the one before, the last stays.
 */
function withoutNeeded(ordered: readonly OrderedFix[], findings: readonly Finding[]): readonly OrderedFix[] {
  const dropped = new Set(ordered.map(({ fix }) => fix.drops?.index));
  // Those of notes, too: what one calls needless another may call unused, and drop.
  const replaced = findings
    .flatMap(({ fixes }) => fixes)
    .filter(({ drops, needs }) => needs !== undefined && dropped.has(drops?.index));
  const gone = new Set(replaced.map(({ drops }) => drops?.index));
  const needed = new Set(replaced.map(({ needs }) => needs));
  return ordered.filter(({ fix: { drops } }) => gone.has(drops?.index) || !needed.has(drops?.index));
}
