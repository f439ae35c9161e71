import { sql } from 'kysely';
import { parseBound } from '../db/bounds.ts';
import type { Session } from '../db/session.ts';
import {
  BEGINNING,
  END,
  formatBound,
  fromCivil,
  type Instant,
  parseInstant,
  type Range,
} from '../time/instant.ts';
import type { DeviceHour, Span } from './count.ts';
import { floorHour } from './hours.ts';
import type { Source } from './source.ts';

/** A partition of the readings. */
export interface ReadingsLeaf {
  /** Schema-qualified and quoted: itself, and all partitions below it. */
  readonly relations: readonly string[];
  /** Null: DEFAULT. */
  readonly range: Range | null;
  /** What the statistics say; where there are none, by its size. */
  readonly rows: number;
}

interface LeafRow {
  readonly relations: readonly string[];
  readonly bound: string;
  readonly rows: number;
}

/** Lists the partitions of the readings, in the order of their bounds: one query that waits for no lock; in a transaction. */
export async function readLeaves(session: Session, { table }: Source): Promise<readonly ReadingsLeaf[]> {
  // Never analyzed: 60 bytes are about what a reading takes.
  const { rows } = await sql<LeafRow>`
    with recursive tree (root, oid) as (
      select i.inhrelid, i.inhrelid from pg_inherits i where i.inhparent = ${String(table.oid)}::oid and not i.inhdetachpending
      union all
      select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
    )
    select jsonb_agg(format('%I.%I', n.nspname, c.relname) order by c.oid <> t.root, c.relname) as relations,
           (select pg_get_expr(r.relpartbound, 0) from pg_class r where r.oid = t.root) as bound,
           coalesce(sum(case when c.relkind = 'p' then 0 when c.reltuples >= 0 then c.reltuples
                             else c.relpages * 8192.0 / 60 end), 0)::float8 as rows
      from tree t
      join pg_class c on c.oid = t.oid
      join pg_namespace n on n.oid = c.relnamespace
     group by t.root`.execute(session.db);
  return rows
    .map(({ relations, bound, rows: count }) => {
      const parsed = parseBound(bound, relations[0] ?? table.qualified);
      return { relations, range: parsed.kind === 'default' ? null : parsed.range, rows: count };
    })
    .sort((a, b) => compare(a.range?.lower ?? END, b.range?.lower ?? END));
}

const compare = (a: Instant, b: Instant): number => (a < b ? -1 : a > b ? 1 : 0);

/** The most leaves that one statement reads: each takes a lock, and so does each of its indexes. */
const LEAVES_A_STATEMENT = 200;

/** Splits all time from an instant on into ranges of not too many leaves each; pure. */
export function openSpans(from: string, leaves: readonly ReadingsLeaf[]): readonly Span[] {
  const after = parseInstant(from) ?? BEGINNING;
  const lowers = leaves.flatMap(({ range }) => (range !== null && range.lower > after ? [range.lower] : []));
  const edges = lowers.filter((_, at) => (at + 1) % LEAVES_A_STATEMENT === 0).map(floorHour);
  return [...edges, END].map((edge, at) =>
    toSpan({ lower: at === 0 ? after : (edges[at - 1] as Instant), upper: edge }),
  );
}

/** The earliest timestamptz of PostgreSQL, 4714-11-24 BC. */
export const EARLIEST: Instant = fromCivil(-4713, 11, 24);

/** Spells an instant as PostgreSQL does. */
export function spellInstant(instant: Instant): string {
  if (instant === BEGINNING) return '-infinity';
  return instant === END ? 'infinity' : formatBound(instant, 'timestamptz');
}

/** Spells a range of whole hours with both its ends inclusive; before the earliest instant there is -infinity alone. */
export function toSpan({ lower, upper }: Range): Span {
  const last = upper === EARLIEST ? BEGINNING : upper === END ? END : upper - 1n;
  return { lower: spellInstant(lower), last: spellInstant(last) };
}

/** Lists the relations whose rows PostgreSQL reads for a span, by its bounds alone; pure. DEFAULT unless leaves cover it all. */
export function relationsWithin({ lower, last }: Span, leaves: readonly ReadingsLeaf[]): readonly string[] {
  const [from, to] = [parseInstant(lower) ?? BEGINNING, parseInstant(last) ?? END];
  const within = leaves.filter(({ range }) => range !== null && range.lower <= to && range.upper > from);
  let covered = from;
  for (const { range } of within) {
    if (range !== null && range.lower <= covered && range.upper > covered) covered = range.upper;
  }
  const isCovered = covered > to || (covered === END && to === END);
  const others = isCovered ? [] : leaves.filter(({ range }) => range === null);
  return [...within, ...others].flatMap(({ relations }) => relations);
}

/** Device-hours that are counted by one statement. */
export interface Group {
  readonly hours: readonly DeviceHour[];
  readonly span: Span;
}

/** The microseconds of an hour but the last. */
const TO_LAST = 3_599_999_999n;

/**
 * Groups device-hours by the leaf that the hour begins in, or the gap between leaves; pure.
 *
 * So each statement has literal bounds that lie within few leaves, and PostgreSQL locks no others.
 */
export function groupByLeaf(hours: readonly DeviceHour[], leaves: readonly ReadingsLeaf[]): readonly Group[] {
  const bounds = leaves
    .flatMap(({ range }) => (range === null ? [] : [range.lower, range.upper]))
    .sort(compare);
  const groups = new Map<string, DeviceHour[]>();
  for (const one of hours) {
    const key = groupKey(one.hour, bounds);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return [...groups.values()].map((group) => ({ hours: group, span: spanOf(group) }));
}

function groupKey(hour: string, bounds: readonly Instant[]): string {
  const instant = finite(hour);
  if (instant === null) return hour;
  let [low, high] = [0, bounds.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((bounds[middle] as Instant) <= instant) low = middle + 1;
    else high = middle;
  }
  return String(low);
}

/** Null for infinite hours, and for those too far off for a Date. */
function finite(hour: string): Instant | null {
  const instant = parseInstant(hour);
  return instant === END || instant === BEGINNING ? null : instant;
}

function spanOf(group: readonly DeviceHour[]): Span {
  const instants = group.map(({ hour }) => finite(hour)).filter((instant) => instant !== null);
  const [first] = group as [DeviceHour];
  // Beyond what is finite there is one hour to a group, and it bounds itself.
  if (instants.length < group.length) {
    return { lower: first.hour, last: first.hour === '-infinity' ? '-infinity' : 'infinity' };
  }
  const sorted = instants.toSorted(compare);
  return {
    lower: formatBound(sorted[0] as Instant, 'timestamptz'),
    last: formatBound((sorted.at(-1) as Instant) + TO_LAST, 'timestamptz'),
  };
}
