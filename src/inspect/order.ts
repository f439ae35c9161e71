import { AREAS, type Finding, SEVERITIES } from './check.ts';

/** Puts the gravest first, then by area, check and object, so that two runs on the same database print the same. */
export function inOrder(findings: readonly Finding[]): readonly Finding[] {
  const rank = ({ severity, area }: Finding): number =>
    SEVERITIES.indexOf(severity) * AREAS.length + AREAS.indexOf(area);
  return findings.toSorted(
    (a, b) => rank(a) - rank(b) || compare(a.check, b.check) || compare(a.object, b.object),
  );
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
