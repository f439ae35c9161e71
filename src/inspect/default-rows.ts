import { sql } from 'kysely';
import { quoteIdentifier } from '../db/quote.ts';
import { usualSaneRange } from '../partitions/drain-plan.ts';
import { insaneKinds } from '../partitions/drain-read.ts';
import { MOST_DEFAULT_ROWS } from '../partitions/list-read.ts';
import { fromDate, type Instant, parseInstant } from '../time/instant.ts';
import { intervalOfCommands } from './ensure-fix.ts';
import type { Scene } from './scene.ts';
import { memberTree } from './scope.ts';
import type { TimeDefault, TimeTable } from './time-table.ts';

/** A table of time with a DEFAULT. */
export interface WithDefault {
  readonly table: TimeTable;
  readonly byDefault: TimeDefault;
}

/** Rows of one DEFAULT. */
export interface DefaultContent {
  readonly oid: number;
  readonly rows: number;
  /** Counting stopped there. */
  readonly isMore: boolean;
  /** Those that no partition should exist for, of what was counted. */
  readonly insane: number;
  /** Of the others, if the key is a column; else null. */
  readonly earliest: Instant | null;
  readonly latest: Instant | null;
  /** Of the others, too. */
  readonly periods: readonly PeriodRows[];
}

/** Rows of one period that a leaf would be made for. */
export interface PeriodRows {
  readonly start: Instant;
  readonly rows: number;
}

/** Why a DEFAULT cannot be read. */
export type DefaultHindrance = 'locked' | 'foreign' | 'no_select' | 'row_security';

/** Finds out which of them cannot be read, or not whole: one query. */
export async function readHindrances(
  scene: Scene,
  all: readonly WithDefault[],
): Promise<ReadonlyMap<number, DefaultHindrance>> {
  const { rows } = await sql<{ oid: number; why: DefaultHindrance | null }>`
    with recursive ${memberTree(scene)},
    locked as materialized (
      select m.oid, m.parent from member m where m.oid = any (${scene.locked}::oid[])
    )
    select c.oid,
           case when exists (select from locked l where c.oid in (l.oid, l.parent)) then 'locked'
                when c.relkind = 'f' then 'foreign'
                when not has_table_privilege(c.oid, 'select') then 'no_select'
                when row_security_active(c.oid) then 'row_security' end as why
      from pg_class c
     where c.oid = any (${`{${all.map(({ byDefault }) => byDefault.oid).join()}}`}::oid[])`.execute(
    scene.session.db,
  );
  return new Map(rows.flatMap(({ oid, why }) => (why === null ? [] : [[oid, why] as const])));
}

interface ContentRow {
  readonly oid: string;
  readonly rows: string;
  readonly insane: string;
  readonly earliest: string | null;
  readonly latest: string | null;
  /** How many rows by the beginning of their period; a JSON object. */
  readonly periods: string | null;
}

/** One query for so many tables: of a thousand it would take longer to plan than to run. */
const MOST_TABLES = 100;

/** Counts the rows of DEFAULTs, of each up to 100,001: one query for many tables. */
export async function readContents(
  { session, now }: Scene,
  all: readonly WithDefault[],
): Promise<readonly DefaultContent[]> {
  const rows: ContentRow[] = [];
  for (let from = 0; from < all.length; from += MOST_TABLES) {
    const some = all.slice(from, from + MOST_TABLES).map((one) => contentQuery(one, fromDate(now)));
    rows.push(...(await session.run<ContentRow>(some.join('\nunion all\n'))).rows);
  }
  return rows.map(({ oid, rows: counted, insane, earliest, latest, periods }) => ({
    oid: Number(oid),
    rows: Number(counted),
    isMore: Number(counted) >= MOST_DEFAULT_ROWS,
    insane: Number(insane),
    earliest: earliest === null ? null : parseInstant(earliest),
    latest: latest === null ? null : parseInstant(latest),
    periods: Object.entries(JSON.parse(periods ?? '{}') as Record<string, number>).flatMap(([text, rows]) => {
      const start = parseInstant(text);
      return start === null ? [] : [{ start, rows }];
    }),
  }));
}

function contentQuery({ table, byDefault }: WithDefault, now: Instant): string {
  const limited = (what: string): string =>
    `(select ${what} from ${byDefault.qualified} d limit ${MOST_DEFAULT_ROWS}) r`;
  const { key, keyType } = table;
  if (key === null) {
    return `select '${byDefault.oid}' as oid, count(*)::text as rows, '0' as insane, null as earliest, null as latest, null as periods
              from ${limited('')}`;
  }
  const interval = intervalOfCommands(table);
  const kinds = Object.values(insaneKinds({ key, keyType }, usualSaneRange(interval, now)));
  // In UTC: that is the session's TimeZone here, and date_trunc of a timestamptz goes by it.
  return `select '${byDefault.oid}' as oid, coalesce(sum(p.rows), 0)::text as rows,
                 coalesce(sum(p.rows) filter (where p.start is null), 0)::text as insane,
                 (min(p.earliest) filter (where p.start is not null))::text as earliest,
                 (max(p.latest) filter (where p.start is not null))::text as latest,
                 (jsonb_object_agg(p.start, p.rows) filter (where p.start is not null))::text as periods
            from (select r.start, count(*) as rows, min(r.key) as earliest, max(r.key) as latest
                    from ${limited(
                      `d.${quoteIdentifier(key)} as key,
                       case when not (${kinds.join(' or ')}) then date_trunc('${interval}', d.${quoteIdentifier(key)})::text end as start`,
                    )}
                   group by r.start) p`;
}
