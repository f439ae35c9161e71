import { badPlace, listOf, mappingOf, oneOf, type Place, textOf } from '../cli/yaml.ts';
import { parseInstant, toDate } from '../time/instant.ts';
import type { Check, Finding } from './check.ts';
import { LOCKED } from './locked.ts';

/** What somebody knows of, and wants to be told of no more until a day. */
export interface Suppression {
  readonly check: string;
  /** A glob over objects as findings name them: `*` is any text, `?` any character. */
  readonly object: string;
  readonly reason: string;
  /** The last day on which it holds, in UTC, such as 2026-12-31; null: no end. */
  readonly until: string | null;
  /** Where it stands: `file:line`. */
  readonly place: string;
}

/** A finding that was suppressed, and by what. */
export interface Suppressed {
  readonly finding: Finding;
  readonly by: Suppression;
}

/** What suppressions make of findings. */
export interface Sifted {
  /** What is left, with a finding for each suppression that has ended. */
  readonly findings: readonly Finding[];
  readonly suppressed: readonly Suppressed[];
  /** Those that matched nothing although all was looked at. */
  readonly unused: readonly Suppression[];
}

/** Reads a list of suppressions; throws usage errors that name file, line and key. */
export function parseSuppressions(place: Place, checks: readonly Check[]): readonly Suppression[] {
  const names = [...checks.map(({ name }) => name), LOCKED];
  return listOf(place).map((item) => {
    const keys = mappingOf(item, ['check', 'object', 'reason', 'until']);
    const required = (key: string): Place => {
      const found = keys.get(key);
      if (found === undefined) throw badPlace(item, `It has no ${key}.`, HINT);
      return found;
    };
    const until = keys.get('until');
    return {
      check: oneOf(required('check'), names, 'a check'),
      object: textOf(required('object')),
      reason: textOf(required('reason')),
      until: until === undefined ? null : dayOf(until),
      place: `${item.file}:${item.line}`,
    };
  });
}

const HINT = 'A suppression has check, object (* for any text), reason, and until (a date).';

function dayOf(place: Place): string {
  const text = textOf(place);
  if (/^\d{4}-\d\d-\d\d$/.test(text) && parseInstant(text) !== null) return text;
  throw badPlace(place, `${JSON.stringify(text)} is not a date.`, 'Write it as 2026-12-31.');
}

/** Takes out of findings what is suppressed; `judged` holds the checks of which all that they look at was seen. */
export function sift(
  findings: readonly Finding[],
  suppressions: readonly Suppression[],
  now: Date,
  { judged, areaOf }: { readonly judged: ReadonlySet<string>; readonly areaOf: AreaOf },
): Sifted {
  const patterns = suppressions.map((by) => ({
    by,
    pattern: globPattern(by.object),
    hasEnded: isOver(by, now),
  }));
  const matching = ({ check, object }: Finding) =>
    patterns.filter(({ by, pattern }) => by.check === check && pattern.test(object));
  const suppressed = findings.flatMap((finding) => {
    const by = matching(finding).find(({ hasEnded }) => !hasEnded)?.by;
    return by === undefined ? [] : [{ finding, by }];
  });
  const hidden = new Set(suppressed.map(({ finding }) => finding));
  const matched = new Set(findings.flatMap(matching).map(({ by }) => by));
  const ended = patterns.filter(({ by, hasEnded }) => hasEnded && areaOf(by.check) !== null);
  return {
    findings: [
      ...findings.filter((finding) => !hidden.has(finding)),
      ...ended.map(({ by }) => endedFinding(by, areaOf(by.check) ?? 'activity', matched.has(by))),
    ],
    suppressed,
    unused: patterns
      .filter(({ by, hasEnded }) => !hasEnded && judged.has(by.check) && !matched.has(by))
      .map(({ by }) => by),
  };
}

/** The area of a check that was run; null: it was not. */
type AreaOf = (check: string) => Finding['area'] | null;

function endedFinding(by: Suppression, area: Finding['area'], matches: boolean): Finding {
  const { check, object, reason, until, place } = by;
  const then = matches
    ? 'what it hid is reported again: mend it, or give it another date'
    : 'nothing matches it any more: take it out';
  return {
    check: 'suppression_ended',
    area,
    severity: 'warning',
    object,
    message: `The suppression of ${check} on ${object} (${place}) ended on ${until}; ${then}. Its reason was: ${reason}`,
    evidence: { check, until, reason, place, matches },
    fixes: [],
  };
}

const DAY_MS = 86_400_000;

function isOver({ until }: Suppression, now: Date): boolean {
  const day = until === null ? null : parseInstant(until);
  return day !== null && now.getTime() >= toDate(day).getTime() + DAY_MS;
}

function globPattern(glob: string): RegExp {
  const source = glob.replaceAll(/[\\^$.*+?()[\]{}|]/g, (letter) => GLOB[letter] ?? `\\${letter}`);
  return new RegExp(`^${source}$`, 's');
}

const GLOB: Readonly<Record<string, string>> = { '*': '.*', '?': '.' };
