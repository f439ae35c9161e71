import { usageError } from '../cli/errors.ts';
import type { GlobalOptions } from '../cli/options.ts';
import { nameHint } from '../cli/suggest.ts';
import { AREAS, type Check, type Severity } from './check.ts';

/** The options of `inspect`, as typed. */
export interface InspectOptions extends GlobalOptions {
  readonly table?: string;
  readonly only?: string;
  readonly skip?: string;
  readonly failOn?: string;
  readonly config?: string;
  readonly suppress?: string;
  readonly baseline?: string;
  readonly explain?: string;
  readonly fixScript?: boolean;
  readonly printSchema?: boolean;
}

/**
 * Chooses the checks that were asked for, in their own order; what `--only` names is run whatever the config file skips.
 *
 * Throws usage errors for unknown names, and when none is left.
 */
export function chooseChecks(
  checks: readonly Check[],
  { only, skip }: Pick<InspectOptions, 'only' | 'skip'>,
  areas: readonly string[],
  skippedByConfig: readonly string[],
): readonly Check[] {
  for (const area of areas) {
    if (!(AREAS as readonly string[]).includes(area)) {
      throw usageError('unknown_area', `There is no area ${JSON.stringify(area)} to inspect.`, {
        object: area,
        hint: `Areas: ${AREAS.join(', ')}.`,
      });
    }
  }
  const wanted = only === undefined ? null : new Set(namesOf(checks, only, '--only'));
  const unwanted = new Set([
    ...(skip === undefined ? [] : namesOf(checks, skip, '--skip')),
    ...(only === undefined ? skippedByConfig : []),
  ]);
  const chosen = checks.filter(
    ({ name, area }) =>
      (areas.length === 0 || areas.includes(area)) && (wanted?.has(name) ?? true) && !unwanted.has(name),
  );
  if (chosen.length === 0) {
    throw usageError('no_checks', 'No check is left to run.', {
      hint: 'The areas, --only, --skip and the config file exclude each other: leave one out.',
    });
  }
  return chosen;
}

/** Finds a check by its name; throws a usage error that lists all names. */
export function findCheck(checks: readonly Check[], name: string, option: string): Check {
  const check = checks.find((one) => one.name === name);
  if (check !== undefined) return check;
  throw usageError('unknown_check', `There is no check ${JSON.stringify(name)}.`, {
    object: option,
    hint: nameHint(
      name,
      checks.map((one) => one.name),
    ),
  });
}

function namesOf(checks: readonly Check[], text: string, option: string): readonly string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return names.map((name) => findCheck(checks, name, option).name);
}

/** Reads `--fail-on`; throws a usage error. */
export function parseFailOn(text: string): 'critical' | 'warning' {
  if (text === 'critical' || text === 'warning') return text;
  throw usageError('bad_severity', `--fail-on ${JSON.stringify(text)} is neither critical nor warning.`, {
    object: '--fail-on',
    hint: 'Unknown counts as a warning; info never fails.',
  });
}

/** Tells whether a finding of this severity makes the command exit 3. */
export function failsAt(failOn: 'critical' | 'warning', severity: Severity): boolean {
  if (severity === 'critical') return true;
  return failOn === 'warning' && (severity === 'warning' || severity === 'unknown');
}
