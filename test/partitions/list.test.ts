import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runJson, runText } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

const LIST = ['partitions', 'list', '-t', 't'];
const list = (more: Partial<Pick<TestDatabase, 'url'>> = {}) =>
  runJson({ url: more.url ?? database.url }, LIST);

const TABLE = `create table t (at timestamptz not null, note text) partition by range (at);
  create table zulu partition of t for values from ('2026-02-01+00') to ('2026-03-01+00');
  create table alpha partition of t for values from ('2026-03-01+00') to ('2026-04-01 00:00:00.000001+00');
  create table mike partition of t for values from ('2026-06-01+00') to ('2026-07-01+00')`;
const DEFAULT = 'create table t_default partition of t default';

describe('the answer of list', () => {
  it('has the fixed keys, in the order of the lower bounds, DEFAULT last', async () => {
    await database.sql.unsafe(`${TABLE}; ${DEFAULT}; insert into t select '2026-03-05+00', 'x' from generate_series(1, 10);
      insert into t values ('2026-05-05+00'); analyze alpha`);
    const result = await list();
    const common = { schema: 'public', parent: 't', isDefault: false, state: 'attached', rowsEstimate: null };
    expect(result).toEqual({
      exitCode: 0,
      schemaVersion: 1,
      command: 'partitions list',
      ok: true,
      changed: false,
      data: {
        table: { schema: 'public', name: 't' },
        partitions: [
          {
            ...common,
            name: 'zulu',
            lower: '2026-02-01T00:00:00Z',
            upper: '2026-03-01T00:00:00Z',
            bytes: 8192,
          },
          {
            ...common,
            name: 'alpha',
            lower: '2026-03-01T00:00:00Z',
            upper: '2026-04-01T00:00:00.000001Z',
            bytes: 16_384,
            rowsEstimate: 10,
          },
          {
            ...common,
            name: 'mike',
            lower: '2026-06-01T00:00:00Z',
            upper: '2026-07-01T00:00:00Z',
            bytes: 8192,
          },
          { ...common, name: 't_default', lower: null, upper: null, isDefault: true, bytes: 16_384 },
        ],
        runwayUntil: '2026-04-01T00:00:00.000001Z',
        runwayState: 'until',
        detached: [],
        gaps: [{ lower: '2026-04-01T00:00:00.000001Z', upper: '2026-06-01T00:00:00Z' }],
        defaultRows: 1,
        defaultRowsExact: true,
      },
      warnings: [expect.objectContaining({ code: 'clock_skew' })],
      error: null,
    });
  });

  it('is one tab-separated line a fact off a terminal', async () => {
    await database.sql.unsafe(`${TABLE}; ${DEFAULT}`);
    const { stdout } = await runText(database, LIST);
    expect(stdout.split('\n').map((line) => line.split('\t'))).toEqual([
      ['partition', 'public', 'zulu', '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z', 'attached', '', '8192'],
      [
        'partition',
        'public',
        'alpha',
        '2026-03-01T00:00:00Z',
        '2026-04-01T00:00:00.000001Z',
        'attached',
        '',
        '8192',
      ],
      ['partition', 'public', 'mike', '2026-06-01T00:00:00Z', '2026-07-01T00:00:00Z', 'attached', '', '8192'],
      ['default', 'public', 't_default', '', '', 'attached', '', '8192'],
      ['gap', '2026-04-01T00:00:00.000001Z', '2026-06-01T00:00:00Z'],
      ['runway', 'until', '2026-04-01T00:00:00.000001Z'],
      ['default_rows', '0', 'exact'],
      [''],
    ]);
  });

  it('is a table with bars and a picture on a terminal', async () => {
    await database.sql.unsafe(`${TABLE}; ${DEFAULT}; alter table t alter note set storage plain;
      insert into t values ('2026-05-05+00', 'stray');
      insert into t select '2026-02-05+00', repeat('x', 1000) from generate_series(1, 7);
      insert into t select '2026-06-05+00', repeat('x', 1000) from generate_series(1, 50); analyze t`);
    const { stdout } = await runText(database, LIST, { terminal: 120, env: { NO_COLOR: '1' } });
    expect(stdout).toMatchInlineSnapshot(`
      "public.t  range by at (timestamptz), 4 partitions

      partition  from        to (exclusive)               rows (est.)     size                  state
      zulu       2026-02-01  2026-03-01                             7  16.0 kB  ██▍             attached
      alpha      2026-03-01  2026-04-01T00:00:00.000001Z            0  8.00 kB  █▏              attached
      mike       2026-06-01  2026-07-01                            50  96.0 kB  ██████████████  attached
      t_default  DEFAULT                                            1  16.0 kB  ██▍             attached

      2026-02-01 ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒┃██████···························████████████ 2026-07-01  ▒ past  ┃ now  █ future  · gap
      Gap: 2026-04-01T00:00:00.000001Z to 2026-06-01, its rows go to DEFAULT.
      DEFAULT: 1 row that no other partition covers.
      Runway: rows go to DEFAULT on 2026-04-01T00:00:00.000001Z, in 16 days.
      "
    `);
  });

  it('of a table without any partition is short, on a terminal without Unicode too', async () => {
    await database.sql.unsafe('create table t (at timestamptz not null) partition by range (at)');
    const { stdout } = await runText(database, LIST, { terminal: 80, env: { NO_COLOR: '1', LANG: 'C' } });
    expect(stdout).toMatchInlineSnapshot(`
      "public.t  range by at (timestamptz), 0 partitions

      partition  from  to (exclusive)  rows (est.)  size    state

      DEFAULT: there is none.
      Runway: none. No partition covers the present: inserts fail now.
      "
    `);
    expect((await list()).data).toMatchObject({ partitions: [], runwayState: 'none', defaultRows: null });
  });
});

describe('the runway', () => {
  it.each([
    ['unbounded', null, "create table rest partition of t for values from ('2026-01-01+00') to (maxvalue)"],
    ['none', null, "create table later partition of t for values from ('2026-03-16+00') to (maxvalue)"],
    [
      'until',
      '2026-05-01T00:00:00Z',
      `create table a partition of t for values from (minvalue) to ('2026-03-16+00');
       create table b partition of t for values from ('2026-03-16+00') to ('2026-05-01+00');
       create table c partition of t for values from ('2026-06-01+00') to (maxvalue)`,
    ],
  ])('is %s', async (runwayState, runwayUntil, ddl) => {
    await database.sql.unsafe(`create table t (at timestamptz not null) partition by range (at); ${ddl}`);
    expect((await list()).data).toMatchObject({ runwayState, runwayUntil });
  });
});

describe('partitions of other kinds', () => {
  it('sub-partitioned ones count all below them, foreign ones nothing, empty ones zero', async () => {
    await database.sql.unsafe(`create table t (at timestamptz not null, d int) partition by range (at);
      create table sub partition of t for values from ('2026-01-01+00') to ('2026-02-01+00') partition by list (d);
      create table sub_1 partition of sub for values in (1);
      create table sub_2 partition of sub for values in (2) partition by list (at);
      create table sub_2_all partition of sub_2 default;
      create table bare partition of t for values from ('2026-02-01+00') to ('2026-03-01+00') partition by list (d);
      create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
      create foreign table far partition of t for values from ('2026-03-01+00') to ('2026-04-01+00') server nowhere;
      insert into t select '2026-01-05+00', 1 + i % 2 from generate_series(1, 9) i; analyze sub_1; analyze sub_2_all`);
    const { data } = await list();
    expect(data.partitions).toMatchObject([
      { name: 'sub', rowsEstimate: 9, bytes: 16_384 },
      { name: 'bare', rowsEstimate: 0, bytes: 0 },
      { name: 'far', rowsEstimate: null, bytes: 0 },
    ]);
  });

  it('a detach that was interrupted is shown as pending and covers nothing', async () => {
    await database.sql.unsafe(TABLE);
    const [reader, detacher] = [database.connect(), database.connect()];
    const [backend] = await detacher<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await reader.unsafe('begin; select count(*) from t');
    const detach = detacher
      .unsafe('alter table t detach partition alpha concurrently')
      .catch((error) => error.code);
    await until(
      async () => (await database.sql`select from pg_inherits where inhdetachpending`).length === 1,
    );
    await database.sql`select pg_cancel_backend(${backend?.pid ?? 0})`;
    expect(await detach).toBe('57014');
    await reader.unsafe('rollback');
    const { data } = await list();
    expect(data).toMatchObject({
      runwayState: 'none',
      partitions: [{}, { name: 'alpha', state: 'detach_pending' }, {}],
      gaps: [{ lower: '2026-03-01T00:00:00Z', upper: '2026-06-01T00:00:00Z' }],
    });
    const ensured = await runJson(database, ['partitions', 'ensure', '-t', 't', '--months', '0']);
    expect(ensured).toMatchObject({
      exitCode: 3,
      data: {
        created: [],
        existing: [],
        conflicts: [{ reason: 'detach_pending', lower: '2026-03-01T00:00:00Z' }],
      },
    });
    const [, finish = ''] =
      /sensordb (partitions detach \S+ --table [^;]+);/.exec(ensured.data.conflicts[0].hint) ?? [];
    const finished = await runJson(database, finish.split(' '));
    expect(finished).toMatchObject({ exitCode: 0, data: { finalized: ['alpha'] } });
    const after = await list();
    expect(after.data.partitions).toHaveLength(2);
    expect(after.data.detached).toMatchObject([
      { schema: 'public', name: 'alpha', lower: '2026-03-01T00:00:00Z', detachedBy: 'postgres', bytes: 8192 },
    ]);
    expect((await runText(database, LIST)).stdout).toMatch(
      /^detached\tpublic\talpha\t2026-03-01T00:00:00Z\t/m,
    );
    const { stdout } = await runText(database, [...LIST, '--no-color'], { terminal: 120 });
    expect(stdout).toMatch(
      /alpha +2026-03-01 +2026-04-01T00:00:00.000001Z +8\.00 kB +public +20\d\d-\d\d-\d\d +postgres/,
    );
  });
});
