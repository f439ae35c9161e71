import { dirname, isAbsolute, join } from 'node:path';
import { readConfigSection, readYamlFile } from '../cli/config.ts';
import type { Context } from '../cli/context.ts';
import { badPlace, listOf, mappingOf, numberOf, oneOf, type Place, textOf } from '../cli/yaml.ts';
import type { Check } from './check.ts';
import { parseSuppressions, type Suppression } from './suppressions.ts';

/** The section `inspect` of the config file. */
export interface InspectConfig {
  /** By check and threshold: `index_bloat.warning_percent`. */
  readonly thresholds: ReadonlyMap<string, number>;
  readonly skip: readonly string[];
  readonly failOn: 'critical' | 'warning' | undefined;
  readonly suppressions: readonly Suppression[];
  readonly queries: readonly string[];
}

const NOTHING: InspectConfig = {
  thresholds: new Map(),
  skip: [],
  failOn: undefined,
  suppressions: [],
  queries: [],
};

/** Reads the section `inspect` of the config file; throws usage errors that name file, line and key. */
export async function readInspectConfig(
  context: Context,
  file: string | undefined,
  checks: readonly Check[],
): Promise<InspectConfig> {
  const section = await readConfigSection(context, file, 'inspect');
  if (section === null) return NOTHING;
  const keys = mappingOf(section, ['thresholds', 'skip', 'fail_on', 'suppress', 'queries']);
  const names = checks.map(({ name }) => name);
  const at = <T>(key: string, read: (place: Place) => T): T | undefined => {
    const place = keys.get(key);
    return place === undefined ? undefined : read(place);
  };
  return {
    thresholds: at('thresholds', (place) => thresholdsOf(place, checks)) ?? NOTHING.thresholds,
    skip: at('skip', (place) => listOf(place).map((one) => oneOf(one, names, 'a check'))) ?? [],
    failOn: at('fail_on', (place) => oneOf(place, ['critical', 'warning'], 'critical or warning')),
    suppressions: (await at('suppress', (place) => suppressionsOf(context, place, checks))) ?? [],
    queries: at('queries', (place) => listOf(place).map(textOf)) ?? [],
  };
}

function thresholdsOf(place: Place, checks: readonly Check[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [name, numbers] of mappingOf(
    place,
    checks.map((check) => check.name),
  )) {
    const known = Object.keys(checks.find((check) => check.name === name)?.thresholds ?? {});
    if (known.length === 0) throw badPlace(numbers, 'This check has no thresholds.');
    for (const [key, number] of mappingOf(numbers, known)) found.set(`${name}.${key}`, numberOf(number));
  }
  return found;
}

/** A list, or the path of a file that holds one, from the folder of the config file. */
async function suppressionsOf(
  context: Context,
  place: Place,
  checks: readonly Check[],
): Promise<readonly Suppression[]> {
  if (typeof place.value !== 'string') return parseSuppressions(place, checks);
  const file = textOf(place);
  return await readSuppressions(context, isAbsolute(file) ? file : join(dirname(place.file), file), checks);
}

/** Reads a suppression file. */
export async function readSuppressions(
  context: Context,
  file: string,
  checks: readonly Check[],
): Promise<readonly Suppression[]> {
  const place = await readYamlFile(context, file);
  return place === null ? [] : parseSuppressions(place, checks);
}
