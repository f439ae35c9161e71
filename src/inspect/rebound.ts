import { sql } from 'kysely';
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import { boundText } from '../partitions/bound-text.ts';
import { holesIn, overlaps } from '../partitions/coverage.ts';
import { formatBound, type Range } from '../time/instant.ts';
import { addPeriods, type Interval, periodStart } from '../time/periods.ts';
import { mergeRanges } from '../time/ranges.ts';
import { type Fix, sqlFix } from './fix.ts';
import type { Scene } from './scene.ts';
import { clip, type TimeLeaf, type TimeTable } from './time-table.ts';

/** A partition, and the period that it is to have. */
export interface Rebound {
  readonly leaf: TimeLeaf;
  readonly period: Range;
}

/**
 * Chooses the partitions that can have the bounds of the period that they are most of, since no other partition has a part of that
 * but such as go out of its way, and none leaves a hole behind; pure.
 */
export function planRebounds(
  table: TimeTable,
  odd: readonly TimeLeaf[],
  interval: Interval,
): readonly Rebound[] {
  const ranges = new Map(table.leaves.map(({ oid, range }) => [oid, range]));
  const isFree = ({ leaf, period }: Rebound): boolean =>
    ![...ranges].some(([oid, range]) => oid !== leaf.oid && overlaps(range, period));
  const chosen: Rebound[] = [];
  let rest = odd.flatMap((leaf): readonly Rebound[] => {
    const period = leaf.isPlain && leaf.state === 'attached' ? periodOf(leaf.range, interval) : null;
    return period === null ? [] : [{ leaf, period }];
  });
  for (let next = rest.find(isFree); next !== undefined; next = rest.find(isFree)) {
    const { leaf, period } = next;
    chosen.push(next);
    ranges.set(leaf.oid, period);
    rest = rest.filter((one) => one.leaf !== leaf);
  }
  // What one gives up, and no other takes, would be a hole: rows of it fail, or go to DEFAULT. Without a DEFAULT those at the end stop it.
  const before = table.default === null ? [] : table.leaves.map(({ range }) => range);
  const holes = holesBetween([...ranges.values()], before);
  const careless = chosen.filter(({ leaf }) => holes.some((hole) => overlaps(hole, leaf.range)));
  if (careless.length === 0) return chosen;
  return planRebounds(
    table,
    odd.filter((leaf) => !careless.some((one) => one.leaf === leaf)),
    interval,
  );
}

/** Finds what ranges leave open between the first and the last, of others, too. */
function holesBetween(ranges: readonly Range[], others: readonly Range[]): readonly Range[] {
  const whole = mergeRanges([...ranges, ...others]);
  const [first, last] = [whole[0], whole.at(-1)];
  return first === undefined || last === undefined
    ? []
    : holesIn({ lower: first.lower, upper: last.upper }, mergeRanges(ranges));
}

/** The period that a range is most of, and that is most of it. */
function periodOf(range: Range, interval: Interval): Range | null {
  const lower = periodStart(range.lower + (range.upper - range.lower) / 2n, interval);
  const period = { lower, upper: addPeriods(lower, interval, 1) };
  const common = clip(range, period);
  const isMost = (whole: Range): boolean => 2n * (common.upper - common.lower) > whole.upper - whole.lower;
  return isMost(range) && isMost(period) ? period : null;
}

/**
 * Reads the columns that rows are moved by, all but generated ones, of each table whose rows can be moved unseen: the partition is detached
 * meanwhile, so triggers see an INSERT without its DELETE, a publication replicates it so, and a foreign key that leads to the partition
 * itself cascades.
 */
async function readColumns(
  { session }: Scene,
  tables: readonly TimeTable[],
): Promise<ReadonlyMap<number, readonly string[]>> {
  if (tables.length === 0) return new Map();
  const { rows } = await sql<{ oid: number; columns: readonly string[] }>`
    with watched as (
      select t.tgrelid as oid from pg_trigger t join pg_proc p on p.oid = t.tgfoid
       where not t.tgisinternal and p.pronamespace is distinct from to_regnamespace('sensordb')
      union all select ev_class from pg_rewrite
      union all select confrelid from pg_constraint where contype = 'f'
    )
    select a.attrelid as oid, jsonb_agg(a.attname order by a.attnum) as columns
      from pg_attribute a
     where a.attrelid = any (${`{${tables.map(({ oid }) => oid).join()}}`}::oid[])
       and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
       and not exists (select from pg_publication)
       and not exists (select from watched w where w.oid = a.attrelid)
       and not exists (select from watched w join pg_inherits i on i.inhrelid = w.oid where i.inhparent = a.attrelid)
     group by a.attrelid`.execute(session.db);
  return new Map(rows.map(({ oid, columns }) => [oid, columns]));
}

/** Makes the fixes, by the OID of the table, of those tables whose rows can be moved unseen. */
export async function reboundFixes(
  scene: Scene,
  all: readonly { readonly table: TimeTable; readonly rebounds: readonly Rebound[] }[],
): Promise<ReadonlyMap<number, readonly Fix[]>> {
  const some = all.filter(({ rebounds }) => rebounds.length > 0);
  const columns = await readColumns(
    scene,
    some.map(({ table }) => table),
  );
  return new Map(
    some.flatMap(({ table, rebounds }) => {
      const own = columns.get(table.oid);
      if (table.key === null || own === undefined) return [];
      return [[table.oid, [reboundFix(table, table.key, own, rebounds)]] as const];
    }),
  );
}

/**
 * Makes the one statement that gives them their bounds, and puts the rows that they lose where those belong: all of it, or nothing.
 *
 * Nothing keeps the rows in between, as a temporary table would, which takes a right of its own (TEMPORARY on the database).
 */
function reboundFix(
  table: TimeTable,
  key: string,
  columns: readonly string[],
  rebounds: readonly Rebound[],
): Fix {
  const alter = `alter table ${table.qualified}`;
  const list = columns.map(quoteIdentifier).join(', ');
  const outside = ({ lower, upper }: Range): string => {
    const [from, to] = [lower, upper].map((end) => quoteLiteral(formatBound(end, table.keyType)));
    return `${quoteIdentifier(key)} < ${from} or ${quoteIdentifier(key)} >= ${to}`;
  };
  const steps = [
    ...rebounds.map(({ leaf }) => `${alter} detach partition ${leaf.qualified}`),
    // From the last that was chosen: what one loses lies in no period that was free before its own was.
    ...rebounds.toReversed().flatMap(({ leaf, period }) => [
      `with moved as (delete from ${leaf.qualified} where ${outside(period)} returning ${list}), placed as (insert into ${table.qualified} (${list}) overriding system value select ${list} from moved returning 1) select (select count(*) from moved) <> (select count(*) from placed) into sensordb_lost`,
      // A BEFORE trigger that returns null would lose the row without a word.
      `if sensordb_lost then raise exception 'A trigger kept rows from being moved.'; end if`,
      `${alter} attach partition ${leaf.qualified} ${boundText(period, table)}`,
    ]),
  ];
  return sqlFix(
    'partition',
    `do ${quoteLiteral(`#variable_conflict use_column declare sensordb_lost boolean; begin ${steps.join('; ')}; end`)}`,
  );
}
