import type { Fix } from './fix.ts';
import type { Scene } from './scene.ts';

/** What checks are about; the words of the command line. */
export const AREAS = ['indexes', 'partitions', 'tables', 'aggregates', 'activity'] as const;

type Area = (typeof AREAS)[number];

/** From the gravest down. What could not be checked is `unknown`, which weighs as much as a warning. */
export const SEVERITIES = ['critical', 'warning', 'unknown', 'info'] as const;

export type Severity = (typeof SEVERITIES)[number];

/** A number at which a check changes its mind; the config file may set another. */
interface Threshold {
  readonly value: number;
  /** What it counts: `days`, `bytes`, `rows`, `percent`, `ratio` and so on. */
  readonly unit: string;
  /** Where the number comes from. */
  readonly source: string;
}

type Evidence = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** Something that is wrong, or that could not be looked at, as its check reports it. */
export interface Found {
  readonly severity: Severity;
  /** As SQL spells it, with its schema: what the fix works on; a parent rather than each of its leaves. */
  readonly object: string;
  /** What tells it from others of the same check on the same object, where there can be several; stable, as the object is. */
  readonly key?: string;
  /** One sentence or two: what is wrong, and what comes of it. */
  readonly message: string;
  /** What was measured; keys in camelCase, instants as ISO 8601 in UTC. */
  readonly evidence: Evidence;
  readonly fixes: readonly Fix[];
}

/** What a look came to. */
export interface Look {
  readonly found: readonly Found[];
  /** Statistics are too young to judge by until then; null: until something happens that nobody can date. Absent: they are not. */
  readonly ripeAt?: Date | null;
  /** With ripeAt: what it would need to judge, where that is no age of statistics. */
  readonly needs?: string;
}

/** One thing that is looked for: a file of `checks/` each. */
export interface Check {
  /** snake_case, stable: suppressions, baselines and scripts match on it. */
  readonly name: string;
  readonly area: Area;
  /** What it looks for, in one line: the end of a sentence that begins with "finds". */
  readonly finds: string;
  /** What it means, why it matters, how it is told, and when it is wrong; paragraphs of plain text. */
  readonly explanation: string;
  readonly thresholds: Readonly<Record<string, Threshold>>;
  /**
   * Its query opens relations (sizes, rows, EXPLAIN) and would wait for whoever holds ACCESS EXCLUSIVE on one. It leaves out those
   * of `scene.locked`; which those were is reported by the run.
   */
  readonly opens: boolean;
  /** What is missing for it to see anything at all, such as "pg_monitor"; null: nothing. */
  readonly lacks?: (scene: Scene) => string | null;
  /** Looks, in a read-only transaction of its own: one query, however many leaves. */
  readonly look: (scene: Scene) => Promise<Look>;
}

/** A finding as it is reported. */
export interface Finding extends Found {
  readonly check: string;
  readonly area: Area;
}
