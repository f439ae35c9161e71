import type { Context } from '../cli/context.ts';
import { type Baseline, readBaseline } from './baseline.ts';
import type { Check } from './check.ts';
import { readInspectConfig, readSuppressions } from './config.ts';
import { chooseChecks, type InspectOptions, parseFailOn } from './request.ts';
import type { Suppression } from './suppressions.ts';

/** What was asked for, by options and config file together. */
export interface Settings {
  readonly checks: readonly Check[];
  readonly failOn: 'critical' | 'warning';
  readonly thresholds: ReadonlyMap<string, number>;
  readonly queries: readonly string[];
  readonly suppressions: readonly Suppression[];
  readonly baseline: Baseline | null;
}

/** Reads options, config file, suppressions and baseline; throws usage errors (exit 2), and needs no database. */
export async function readSettings(
  context: Context,
  options: InspectOptions,
  areas: readonly string[],
  all: readonly Check[],
): Promise<Settings> {
  const config = await readInspectConfig(context, options.config, all);
  const { suppress, baseline, failOn } = options;
  const more = suppress === undefined ? [] : await readSuppressions(context, suppress, all);
  return {
    checks: chooseChecks(all, options, areas, config.skip),
    failOn: failOn === undefined ? (config.failOn ?? 'warning') : parseFailOn(failOn),
    thresholds: config.thresholds,
    queries: config.queries,
    suppressions: [...more, ...config.suppressions],
    baseline: baseline === undefined ? null : await readBaseline(context, baseline),
  };
}
