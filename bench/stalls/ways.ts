import type { Sql } from 'postgres';
import { spawnCli } from '../../test/support/cli.ts';
import { connectTo } from '../../test/support/connect.ts';

/** What is done to the partitions, in this order. */
export const PHASES = ['ensure', 'detach', 'attach', 'drop', 'drain'] as const;

export type Phase = (typeof PHASES)[number];

/** How many rows the last phase moves; each of the others is about twelve leaves. */
const DRAINED_ROWS = 100_000;
const ROWS_OF_A_LEAF = 1000;

/** What a phase ended with, in a few words: an exit code, or an error. */
export type Ending = string;

/** One way of doing the work, on a database of its own. */
export interface Way {
  readonly name: string;
  /** Brings about what a phase begins with; nobody is timed meanwhile. */
  readonly prepare?: (phase: Phase) => Promise<unknown>;
  readonly work: (phase: Phase) => Promise<Ending>;
  readonly lacks?: Phase;
}

interface NamedLeaf {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

function leafOf(year: number, month: number): NamedLeaf {
  const from = new Date(Date.UTC(year, month)).toISOString();
  const to = new Date(Date.UTC(year, month + 1)).toISOString();
  return { name: `sensors_sensorreading_${from.slice(0, 7).replace('-', '_')}`, from, to };
}

const leaves = (year: number, months: number): readonly NamedLeaf[] =>
  Array.from({ length: months }, (_, month) => leafOf(year, month));
const LEAVES = leaves(2020, 12);
/** The months that the rows to drain are of. */
const DRAINED = leaves(2019, 4);

const bound = ({ from, to }: NamedLeaf): string => `for values from ('${from}') to ('${to}')`;

/** Runs sensordb in a process of its own. */
export async function sensordb(url: string, words: readonly string[]): Promise<Ending> {
  const { exitCode, stdout, stderr } = await spawnCli([...words, '--json'], { url }).ended;
  const message = (stdout.startsWith('{') ? JSON.parse(stdout).error?.message : stderr) ?? '';
  return `exit ${exitCode}${message === '' ? '' : `: ${message}`}`;
}

/** By this tool's commands, each with the budget that it has by itself. */
export function bySensordb(url: string): Way {
  const words: Readonly<Record<Phase, readonly string[]>> = {
    ensure: ['ensure', '--from', '2020-01', '--until', '2021-01'],
    detach: ['detach', '--before', '2021-01-01'],
    attach: ['attach', ...LEAVES.map(({ name }) => name)],
    drop: ['drop', '--before', '2021-01-01', '--yes'],
    drain: ['drain'],
  };
  return { name: 'sensordb', work: (phase) => sensordb(url, ['partitions', ...words[phase]]) };
}

/** By the statements that come to mind first, one after the other, each waiting for as long as it takes. */
export function byStatements(url: string): Way {
  const parent = 'sensors_sensorreading';
  const each = (statement: (leaf: NamedLeaf) => string): readonly string[] => LEAVES.map(statement);
  const statements: Readonly<Record<Phase, readonly string[]>> = {
    ensure: each((leaf) => `create table ${leaf.name} partition of ${parent} ${bound(leaf)}`),
    detach: each(({ name }) => `alter table ${parent} detach partition ${name}`),
    attach: each((leaf) => `alter table ${parent} attach partition ${leaf.name} ${bound(leaf)}`),
    drop: each(({ name }) => `drop table ${name}`),
    drain: DRAINED.map(
      (leaf) => `begin;
        create table ${leaf.name} (like ${parent} including defaults including constraints);
        with moved as (delete from ${parent}_default
                        where timestamp >= '${leaf.from}' and timestamp < '${leaf.to}' returning *)
          insert into ${leaf.name} select * from moved;
        alter table ${parent} attach partition ${leaf.name} ${bound(leaf)};
        commit`,
    ),
  };
  return { name: 'plain DDL', work: (phase) => runAll(url, statements[phase]) };
}

/** By pg_partman 4.7: premake, retention and partition_data_proc; it has nothing that attaches a leaf again. */
export function byPartman(url: string, sql: Sql): Way {
  const parent = 'public.sensors_sensorreading';
  const configure = (values: string): string =>
    `update partman.part_config set ${values} where parent_table = '${parent}'`;
  const maintain = `select partman.run_maintenance('${parent}', p_jobmon := false)`;
  const prepare = async (phase: Phase): Promise<unknown> => {
    switch (phase) {
      case 'ensure':
        return await sql.unsafe(configure('premake = premake + 12'));
      case 'detach':
        await sql`select partman.create_partition_time(${parent}, ${LEAVES.map(({ from }) => from)}::timestamptz[])`;
        return await sql.unsafe(configure(`retention = '4 years', retention_keep_table = true`));
      case 'drop':
        for (const leaf of LEAVES) {
          const name = leaf.name.replace('reading_', 'reading_p');
          await sql.unsafe(`alter table ${parent} attach partition ${name} ${bound(leaf)}`);
        }
        return await sql.unsafe(configure('retention_keep_table = false'));
      case 'drain':
        return await sql.unsafe(configure('retention = null'));
      case 'attach':
        return null;
    }
  };
  const work = (phase: Phase): Promise<Ending> =>
    runAll(url, [
      phase === 'drain'
        ? `call partman.partition_data_proc('${parent}', p_wait := 0, p_quiet := true)`
        : maintain,
    ]);
  return { name: 'pg_partman', prepare, work, lacks: 'attach' };
}

/** Makes pg_partman manage the table. */
export async function setUpPartman(sql: Sql): Promise<void> {
  await sql.unsafe(`create schema partman; create extension pg_partman schema partman;
    drop table sensors_sensorreading_default;
    select partman.create_parent('public.sensors_sensorreading', 'timestamp', 'native', 'monthly', p_premake := 2,
      p_start_partition := to_char(now(), 'YYYY-MM-01'));
    update partman.part_config set infinite_time_partitions = true`);
}

async function runAll(url: string, statements: readonly string[]): Promise<Ending> {
  const sql = connectTo(url);
  try {
    for (const statement of statements) await sql.unsafe(statement);
    return 'done';
  } catch (thrown) {
    return `failed: ${thrown instanceof Error ? thrown.message : thrown}`;
  } finally {
    await sql.end();
  }
}

/** Fills what a phase works on: the twelve leaves before they are detached, DEFAULT before it is drained. */
export async function fill(sql: Sql, phase: Phase): Promise<void> {
  const wanted = phase === 'detach' ? LEAVES : phase === 'drain' ? DRAINED : [];
  const rows = phase === 'detach' ? ROWS_OF_A_LEAF : DRAINED_ROWS / DRAINED.length;
  for (const { from, to } of wanted) {
    await sql`
      insert into sensors_sensorreading (device_id, timestamp, value)
      select 1, ${from}::timestamptz + (${to}::timestamptz - ${from}::timestamptz) * (n::float8 / ${rows}), -n
        from generate_series(0, ${rows - 1}::int) as n`;
  }
}
