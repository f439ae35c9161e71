import { readTextFile } from '../cli/config.ts';
import type { Context } from '../cli/context.ts';
import { usageError } from '../cli/errors.ts';
import { type Finding, SEVERITIES, type Severity } from './check.ts';

/** A finding as it is known again: by its check, object and key. */
export interface KnownFinding {
  readonly check: string;
  readonly object: string;
  /** Null: it has none. Absent: what wrote the file had no keys, and it may be any of the object's. */
  readonly key?: string | null | undefined;
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
  const { check, object, severity, key } = (value ?? {}) as Partial<KnownFinding>;
  return (
    typeof check === 'string' &&
    typeof object === 'string' &&
    SEVERITIES.includes(severity as Severity) &&
    ['string', 'undefined'].includes(typeof (key ?? undefined))
  );
}

/** Tells what is new since a baseline; `judged` holds the checks of which all that they look at was seen, `all` what they found. */
export function compareWith(
  baseline: Baseline,
  findings: readonly Finding[],
  { all, judged }: { readonly all: readonly Finding[]; readonly judged: ReadonlySet<string> },
): Compared {
  // What a suppression hides is none of `findings`, and is there all the same.
  const hidden = all.filter((one) => !findings.includes(one));
  const left = new Set(baseline.findings.toSorted((a, b) => rankOf(a) - rankOf(b)));
  const known = new Set<Finding>();
  for (const finding of [...findings.toSorted((a, b) => rankOf(a) - rankOf(b)), ...hidden]) {
    const was = formerOf(finding, left);
    if (was === undefined) continue;
    left.delete(was);
    if (rankOf(was) <= rankOf(finding)) known.add(finding);
  }
  return {
    fresh: findings.filter((finding) => !known.has(finding)),
    known: findings.filter((finding) => known.has(finding)),
    resolved: [...left].filter((one) => judged.has(one.check)),
  };
}

/** Each of a baseline is one finding's: of two on the same object the second is new where there was one. */
function formerOf(finding: Finding, left: ReadonlySet<KnownFinding>): KnownFinding | undefined {
  const same = [...left].filter(({ check, object }) => check === finding.check && object === finding.object);
  const exact = same.find(({ key }) => key !== undefined && key === (finding.key ?? null));
  return exact ?? same.find(({ key }) => key === undefined);
}

const rankOf = ({ severity }: Pick<KnownFinding, 'severity'>): number => SEVERITIES.indexOf(severity);
