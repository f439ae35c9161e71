/**
 * Spells the DDL of leaves that follow each other, each from one of the dates to the next, in UTC.
 *
 * A leaf of `metric` that begins on 2026-01-01 is called `metric_2026_01_01`.
 */
export function leavesOf(parent: string, dates: readonly string[]): string {
  return dates
    .slice(1)
    .map((to, at) => {
      const from = dates[at] as string;
      const leaf = `${parent}_${from.replaceAll(/\D/g, '_')}`;
      return `create table ${leaf} partition of ${parent} for values from ('${from}Z') to ('${to}Z');`;
    })
    .join('\n');
}

/** Lists so many days from a date on, as dates. */
export function days(from: string, count: number): readonly string[] {
  const start = Date.parse(`${from}T00:00:00Z`);
  return Array.from({ length: count }, (_, n) => new Date(start + n * 86_400_000).toISOString().slice(0, 10));
}

/** Lists the first days of so many months from one on. */
export function months(from: string, count: number): readonly string[] {
  const [year, month] = from.split('-').map(Number) as [number, number];
  return Array.from({ length: count }, (_, n) =>
    new Date(Date.UTC(year, month - 1 + n, 1)).toISOString().slice(0, 10),
  );
}
