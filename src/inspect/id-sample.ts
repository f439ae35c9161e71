import { quoteIdentifier } from '../db/quote.ts';
import type { IdColumn } from './id-columns.ts';
import type { IdSource } from './id-sources.ts';
import type { Scene } from './scene.ts';

/** A row whose id another has, too. */
export interface DuplicateRow {
  /** As text, since a bigint is more than a number holds. */
  readonly id: string;
  /** As PostgreSQL prints it, in UTC. */
  readonly key: string;
  /** 1 for the earliest of those with the same id. */
  readonly place: number;
}

/** What the ids that were looked at came to. */
export interface IdSample {
  readonly rows: number;
  /** Null: there are none. */
  readonly highest: string | null;
  readonly duplicates: readonly DuplicateRow[];
  /** There were more. */
  readonly isCut: boolean;
}

/** No more rows with ids that others have are brought here. */
const MOST_DUPLICATES = 500;

/** One query for so many tables: of a thousand it would take longer to plan than to run. */
const MOST_TABLES = 50;

/** Reads so many ids from either end of each source, by index: one query for all partitions, of many tables. */
export async function readIdSamples(
  { session }: Scene,
  sources: ReadonlyMap<IdColumn, readonly IdSource[]>,
  rowsAtEnd: number,
): Promise<ReadonlyMap<IdColumn, IdSample>> {
  const columns = [...sources].filter(([, list]) => list.length > 0);
  if (columns.length === 0) return new Map();
  // A table without statistics could be sorted as a whole instead.
  await session.run(
    'set local enable_seqscan to off; set local enable_bitmapscan to off; set local enable_sort to off',
  );
  const samples = new Map<IdColumn, IdSample>();
  for (let from = 0; from < columns.length; from += MOST_TABLES) {
    const some = columns.slice(from, from + MOST_TABLES);
    const queries = some.map(([column, list], at) => sampleQuery(column, list, rowsAtEnd, at));
    const { rows } = await session.run<{ at: number; sample: IdSample }>(queries.join('\nunion all\n'));
    for (const { at, sample } of rows) {
      const column = some[at]?.[0];
      const duplicates = sample.duplicates.slice(0, MOST_DUPLICATES);
      const isCut = sample.duplicates.length > MOST_DUPLICATES;
      if (column !== undefined) samples.set(column, { ...sample, duplicates, isCut });
    }
  }
  return samples;
}

function sampleQuery(
  { column, key }: IdColumn,
  sources: readonly IdSource[],
  rowsAtEnd: number,
  at: number,
): string {
  const [id, time] = [quoteIdentifier(column), quoteIdentifier(key)];
  const ends = sources.flatMap(({ from }) =>
    ['asc', 'desc'].map(
      (order) =>
        `(select ${id} as id, ${time} as key from ${from} order by ${id} ${order} limit ${rowsAtEnd})`,
    ),
  );
  return `select ${at} as at, (
    with seen as materialized (${ends.join(' union ')}),
    placed as materialized (
      select s.id, s.key, row_number() over (partition by s.id order by s.key) as place, count(*) over (partition by s.id) as same
        from seen s
    )
    select jsonb_build_object(
             'rows', (select count(*) from seen), 'highest', (select max(s.id)::text from seen s),
             'duplicates', coalesce((
               select jsonb_agg(jsonb_build_object('id', p.id::text, 'key', p.key::text, 'place', p.place) order by p.id, p.place)
                 from (select * from placed where same > 1 order by id, place limit ${MOST_DUPLICATES + 1}) p), '[]'))) as sample`;
}
