import { expect } from 'vitest';
import type { CliOptions, Envelope } from './cli.ts';
import { type TableFacts, tableFacts } from './leaf-facts.ts';
import { created, runJson } from './partitions.ts';
import type { TestDatabase } from './server.ts';

type Result = Envelope & { readonly exitCode: number };

/** Runs `partitions repair` on the table `readings` with the given words. */
export async function repair(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[] = [],
  options: Omit<CliOptions, 'url'> = {},
): Promise<Result> {
  const table = argv.includes('-t') ? [] : ['-t', 'readings'];
  return await runJson(database, ['partitions', 'repair', ...table, ...argv], options);
}

/** Runs it with `--check`, and gives leaf and thing of each drift: `readings_2026_02: index readings_at_idx`. */
export async function drift(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[] = [],
): Promise<readonly string[]> {
  const { error, data, exitCode } = await repair(database, ['--check', ...argv]);
  expect(error).toBeNull();
  const lines = lined(data.drift);
  expect(exitCode).toBe(lines.length === 0 ? 0 : 3);
  return lines;
}

/** Runs it, which has to mend all that it finds, and gives what it mended; a second run finds nothing. */
export async function mended(
  database: Pick<TestDatabase, 'url'>,
  argv: readonly string[] = [],
): Promise<readonly string[]> {
  const { error, data, exitCode } = await repair(database, argv);
  expect({ error, refused: data.refused, blocked: data.blocked }).toEqual({
    error: null,
    refused: [],
    blocked: [],
  });
  expect(exitCode).toBe(0);
  expect(lined(data.mended).toSorted()).toEqual(lined(data.drift).toSorted());
  expect(await repair(database, argv)).toMatchObject({
    exitCode: 0,
    changed: false,
    data: { drift: [], mended: [], refused: [] },
  });
  return lined(data.mended);
}

function lined(drifts: readonly { readonly name: string; readonly what: string }[]): readonly string[] {
  return drifts.map(({ name, what }) => `${name}: ${what}`);
}

/**
 * Makes the table `readings` with three leaves, of January to March 2026, and DEFAULT, in which nothing has drifted.
 *
 * It has a foreign key, a trigger, a policy, privileges for the role, and leaves with storage parameters.
 */
export async function createReadings(database: TestDatabase, role: string): Promise<void> {
  const { sql } = database;
  await sql.unsafe(`create table device (id int primary key);
    insert into device values (1), (2);
    create table readings (id bigint not null, device_id int not null references device, at timestamptz not null,
      value double precision, note varchar, primary key (id, at)) partition by range (at);
    create index readings_at_brin on readings using brin (at);
    create function stamp() returns trigger language plpgsql as 'begin return new; end';
    create trigger stamped before insert on readings for each row execute function stamp();
    create policy named on readings using (value between 1 and 2 and note in ('a', 'b'));
    alter table readings enable row level security;
    create table readings_default partition of readings default;
    grant select on readings to ${role}`);
  const months = ['--from', '2026-01', '--until', '2026-04'];
  expect(await created(database, ['-t', 'readings', '--interval', 'month', ...months])).toHaveLength(3);
  await sql`insert into readings select n, 1 + n % 2, '2026-01-01Z'::timestamptz + n * interval '1 hour', n, 'a'
              from generate_series(1, 2000) n`;
  expect((await repair(database)).data.refused).toEqual([]);
}

/** Leaves out of a leaf's facts what is its own, and what repair does not look at: comments, extended statistics. */
export function comparable({ bound, comment, statistics, ...facts }: TableFacts): object {
  const sorted = (options: unknown) => (options as string[] | null)?.toSorted() ?? [];
  return {
    ...facts,
    options: sorted(facts.options),
    toastOptions: sorted(facts.toastOptions),
    // PARTITION OF leaves a check NOT VALID as its parent has it.
    constraints: facts.constraints.map(({ definition, valid, ...rest }) => ({
      ...rest,
      definition: String(definition).replace(' NOT VALID', ''),
    })),
    columns: facts.columns.map(({ comment: _, ...rest }) => rest),
    indexes: facts.indexes.map(({ comment: _, options, definition, ...rest }) => ({
      ...rest,
      definition: String(definition).replace(/ WITH \(.*?\)/, ''),
      options: sorted(options),
    })),
  };
}

/** Makes sure that the leaves of `readings` are what a leaf is that ensure makes now. */
export async function expectLikeNew(database: TestDatabase, leaves: readonly string[]): Promise<void> {
  const fresh = await created(database, ['-t', 'readings', '--from', '2027-01', '--until', '2027-02']);
  expect(fresh).toEqual(['readings_2027_01']);
  const model = comparable(await tableFacts(database.sql, 'readings_2027_01'));
  await database.sql`drop table readings_2027_01`;
  for (const leaf of leaves) expect(comparable(await tableFacts(database.sql, leaf)), leaf).toEqual(model);
}
