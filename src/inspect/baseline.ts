import { readTextFile } from '../cli/config.ts';
import type { Context } from '../cli/context.ts';
import { usageError } from '../cli/errors.ts';
import { type Finding, SEVERITIES, type Severity } from './check.ts';

/** A finding as it is known again: by its check and object. */
export interface KnownFinding {
  readonly check: string;
  readonly object: string;
  readonly severity: Severity;
}

/** What a former `inspect --json` found. */
export interface Baseline {
  readonly findings: readonly KnownFinding[];
  /** The table that it was narrowed down to, as `schema` and `name`. */
  readonly table: { readonly schema: string; readonly name: string } | null;
}

/** What a baseline makes of findings. */
export interface Compared {
  /** Not there then, or graver now. */
  readonly fresh: readonly Finding[];
  readonly known: readonly Finding[];
  /** There then, looked for now, and gone. */
  readonly resolved: readonly KnownFinding[];
}

/** Reads a baseline file; throws a usage error for what is no output of `inspect --json`. */
export async function readBaseline(context: Context, file: string): Promise<Baseline> {
  const text = await readTextFile(context, file);
  const envelope = parseJson(text) as Envelope | null;
  const data = envelope?.command === 'inspect' && envelope.error === null ? envelope.data : undefined;
  const findings = [...listIn(data?.findings), ...listIn(data?.baseline?.known)];
  if (data === undefined || !Array.isArray(data.findings) || !findings.every(isKnown)) {
    throw usageError('bad_baseline', `${file} is not what inspect --json prints of a run.`, {
      object: file,
      hint: `Make one: sensordb inspect --json > ${file}`,
    });
  }
  return { findings, table: data.table ?? null };
}

interface Envelope {
  readonly command?: unknown;
  readonly error?: unknown;
  readonly data?: {
    readonly findings?: unknown;
    readonly baseline?: { readonly known?: unknown } | null;
    readonly table?: Baseline['table'];
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function isKnown(value: unknown): value is KnownFinding {
  const { check, object, severity } = (value ?? {}) as Partial<KnownFinding>;
  return typeof check === 'string' && typeof object === 'string' && SEVERITIES.includes(severity as Severity);
}

/** Tells what is new since a baseline; `judged` holds the checks of which all that they look at was seen, `all` what they found. */
export function compareWith(
  baseline: Baseline,
  findings: readonly Finding[],
  { all, judged }: { readonly all: readonly Finding[]; readonly judged: ReadonlySet<string> },
): Compared {
  const before = new Map<string, KnownFinding>();
  for (const one of baseline.findings) {
    const other = before.get(keyOf(one));
    if (other === undefined || rankOf(one) < rankOf(other)) before.set(keyOf(one), one);
  }
  const isFresh = (finding: Finding): boolean => {
    const was = before.get(keyOf(finding));
    return was === undefined || rankOf(finding) < rankOf(was);
  };
  const there = new Set(all.map(keyOf));
  return {
    fresh: findings.filter(isFresh),
    known: findings.filter((finding) => !isFresh(finding)),
    resolved: [...before.values()].filter((one) => judged.has(one.check) && !there.has(keyOf(one))),
  };
}

const keyOf = ({ check, object }: Pick<KnownFinding, 'check' | 'object'>): string =>
  JSON.stringify([check, object]);

const rankOf = ({ severity }: Pick<KnownFinding, 'severity'>): number => SEVERITIES.indexOf(severity);
