import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type RunningServer, startServer, type TestDatabase } from '../support/server.ts';

const CHECK = 'query_pruning';

describe(CHECK, () => {
  let server: RunningServer;
  let database: TestDatabase;

  beforeAll(async () => {
    server = await startServer({
      settings: { shared_preload_libraries: 'pg_stat_statements', 'pg_stat_statements.track_utility': 'off' },
    });
    database = await createDatabase({ server: server.url });
    await database.sql.unsafe(`
      create schema app;
      create table app."Readings" (id bigint, "timestamp" timestamptz not null, value float8) partition by range ("timestamp");
      do $$ begin for n in 0..11 loop
        execute format('create table app.r_%s partition of app."Readings" for values from (%L) to (%L)', n,
                       timestamptz '2026-01-01+00' + make_interval(months => n), timestamptz '2026-01-01+00' + make_interval(months => n + 1));
      end loop; end $$;
      alter database ${database.name} set search_path to app`);
  });
  afterAll(async () => {
    await database.drop();
    await server.stop();
  });

  const withQueries = (...queries: readonly string[]) => ({
    config: `inspect: { queries: ${JSON.stringify(queries)} }`,
  });

  it.each([
    [
      'a literal range',
      `select * from "Readings" where timestamp >= '2026-03-01' and timestamp < '2026-03-02'`,
    ],
    ['now()', `select * from "Readings" where timestamp >= now() - interval '1 day' and timestamp < now()`],
    ['parameters', 'select avg(value) from "Readings" where timestamp >= $1 and timestamp < $2'],
    ['an UPDATE by the key', 'update "Readings" set value = $1 where id = $2 and timestamp = $3'],
  ])('passes a query that prunes by %s', async (_what, query) => {
    expect(await inspectOnly(database, CHECK, withQueries(query))).toMatchObject({
      findings: [],
      passed: [CHECK],
    });
  });

  it.each([
    ['no condition', 'select count(*) from "Readings"'],
    ['a condition on the date', `select * from "Readings" where timestamp::date = '2026-03-01'`],
    ['a condition on date_trunc', `select * from "Readings" where date_trunc('day', timestamp) = $1`],
    ['another column', 'delete from "Readings" where id = $1'],
  ])('finds a query that reads all for %s', async (_what, query) => {
    const { exitCode, findings } = await inspectOnly(database, CHECK, withQueries(query));
    expect(exitCode).toBe(3);
    expect(findings).toEqual([
      expect.objectContaining({
        severity: 'warning',
        object: 'app."Readings"',
        evidence: expect.objectContaining({ partitionsRead: 12, partitions: 12, from: 'config' }),
      }),
    ]);
  });

  it.each([
    ['no SQL', 'selectt 1'],
    ['two statements', 'select 1 from "Readings"; drop table "Readings"'],
    ['of a table that is not there', 'select * from nowhere'],
  ])('says that what is %s could not be seen', async (_what, query) => {
    const { findings, passed } = await inspectOnly(database, CHECK, withQueries(query));
    expect(passed).toEqual([]);
    expect(findings).toEqual([expect.objectContaining({ severity: 'unknown' })]);
    expect(await database.sql`select to_regclass('app."Readings"') is not null as there`).toEqual([
      { there: true },
    ]);
  });

  it('leaves nothing prepared behind, and reads no row', async () => {
    await inspectOnly(
      database,
      CHECK,
      withQueries('select 1 / value from "Readings"', 'select count(*) from "Readings"'),
    );
    const [row] =
      await database.sql`select sum(seq_scan)::int as scans from pg_stat_user_tables where schemaname = 'app'`;
    expect(row).toEqual({ scans: 0 });
  });

  it('finds what pg_stat_statements has seen', async () => {
    await database.sql.unsafe('create extension pg_stat_statements schema public');
    await database.sql.unsafe(`select count(*) from app."Readings" where value > 5`);
    await database.sql.unsafe(
      `select count(*) from app."Readings" where timestamp > '2026-11-01' and value > 5`,
    );
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toEqual([
      expect.objectContaining({
        object: 'app."Readings"',
        message: expect.stringContaining('value > $1'),
        evidence: expect.objectContaining({ from: 'pg_stat_statements' }),
      }),
    ]);
    const role = await createRole(database);
    await database.sql.unsafe(`grant usage on schema app to ${role.name};
      grant select on all tables in schema app to ${role.name}`);
    const hidden = await inspectOnly({ url: role.url }, CHECK);
    expect([hidden.exitCode, hidden.passed, hidden.findings.map(({ severity }) => severity)]).toEqual([
      3,
      [],
      ['unknown'],
    ]);
    await database.sql.unsafe(`grant pg_read_all_stats to ${role.name}`);
    // To see a text of somebody else is not enough: planning it would run his functions.
    expect((await inspectOnly({ url: role.url }, CHECK)).findings).toEqual([
      expect.objectContaining({ severity: 'unknown', message: expect.stringContaining('other roles') }),
    ]);
    await dropRoles(database.sql, [role]);
    await database.sql.unsafe('drop extension pg_stat_statements');
  });

  describe('of what pg_stat_statements prints', () => {
    const GOOD = `select count(*) from app."Readings" where timestamp > '2026-11-01'`;
    beforeAll(async () => {
      await database.sql.unsafe(`create extension pg_stat_statements schema public;
        create view app.seen as select * from app."Readings"; create view app."Seen twice" as select * from app.seen;
        create table app.side (id bigint)`);
    });
    afterAll(async () => {
      await database.sql.unsafe(
        'drop table app.side; drop view app."Seen twice", app.seen; drop extension pg_stat_statements',
      );
    });

    const run = async (...statements: readonly string[]) => {
      const client = database.connect();
      await client.unsafe('select public.pg_stat_statements_reset()');
      await client.unsafe('set search_path to app; set pg_stat_statements.track_utility to on');
      for (const statement of [...statements, GOOD]) await client.unsafe(statement);
      await client.end();
    };

    it.each([
      ['through a view', ['select count(*) from seen where value > 5']],
      ['through a view of a view, in capitals', ['SELECT COUNT(*) FROM APP."Seen twice" WHERE VALUE > 5']],
      ['in parentheses', [`(select id from "Readings" where timestamp::date = '2026-03-01')`]],
      ['for an INSERT', ['insert into side select id from "Readings" where value > 5']],
      ['by TABLE', ['table "Readings"']],
      [
        'by a cursor',
        ['begin', 'declare c no scroll cursor for select id from "Readings"', 'fetch 10 from c', 'commit'],
      ],
      ['prepared', ['prepare p (float8) as select id from "Readings" where value > $1', 'execute p (5)']],
      ['with an interval', [`select from "Readings" where timestamp + interval '1 hour' > now()`]],
      [
        'with an interval and its unit',
        [`select from "Readings" where timestamp + interval '1' hour > now()`],
      ],
      [
        'by buckets',
        [
          `select date_trunc('day', timestamp), avg(value) from "Readings" where id <> 7 group by date_trunc('day', timestamp)`,
        ],
      ],
      [
        'by hours of the day, with literals of a type',
        [
          `select extract(hour from timestamp), avg(value) from "Readings" where value > float8 '5' and id <> bigint '7'
            group by extract(hour from timestamp) order by extract(hour from timestamp) desc nulls last`,
        ],
      ],
      [
        'by buckets that are named by their place',
        [
          `select date_trunc('day', timestamp), avg(value) from "Readings" where id <> 7 group by 1 order by date_trunc('day', timestamp) desc`,
        ],
      ],
      [
        'by buckets of two kinds, in a subquery',
        [
          `select * from (select date_bin(interval '15 minutes', timestamp, '2001-01-01'), id % 10 as "rest", avg(value) from "Readings"
            where id <> 7 group by 2, date_bin(interval '15 minutes', timestamp, '2001-01-01'), id % 10 having count(*) > 3 order by 1) s where "rest" > 1`,
        ],
      ],
    ])('finds one that reads all %s', async (_what, statements) => {
      await run(...statements);
      expect((await inspectOnly(database, CHECK)).findings).toMatchObject([
        { severity: 'warning', object: 'app."Readings"', evidence: { partitionsRead: 12 } },
      ]);
    });

    it.each([
      ['a list', [`select from "Readings" where timestamp = any('{2026-11-01, 2026-11-02}'::timestamptz[])`]],
      [
        'a condition that may be left out',
        [`select from "Readings" where (1 = 0 or timestamp >= '2026-11-01')`],
      ],
      [
        'one of the same values',
        [
          `prepare p (timestamptz) as select from "Readings" where $1::timestamptz is null or timestamp >= $1`,
          `execute p ('2026-11-01')`,
        ],
      ],
      ['a range', [`select from "Readings" where timestamp < '2026-11-03' and timestamp >= '2026-11-01'`]],
    ])('passes one that prunes by %s', async (_what, statements) => {
      await run(...statements);
      expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    });

    it.each([
      ['behind a comment', ['-- name: All :many\n/* app */ select id from "Readings" where value > 5']],
      [
        'with a number in a comment and in a name',
        ['select id as "a$7" /* $9 */ from "Readings" where value > 5'],
      ],
      [
        'of a cursor behind a comment',
        ['begin', '/* app */ declare c cursor for select id from "Readings"', 'fetch 10 from c', 'commit'],
      ],
    ])('finds one %s', async (_what, statements) => {
      await run(...statements);
      expect((await inspectOnly(database, CHECK)).findings).toMatchObject([{ severity: 'warning' }]);
    });

    it('wants the text of one that cannot be planned as it is printed', async () => {
      await run(`select from "Readings" where timestamp >= '2026-11-01' and value > (point '(5,5)')[0]`);
      expect(await inspectOnly(database, CHECK)).toMatchObject({
        exitCode: 0,
        findings: [],
        passed: [],
        notYet: [{ check: CHECK, needs: expect.stringContaining('value > (point $2)') }],
      });
    });

    it('gives up what is grouped by an expression of many literals', async () => {
      const groups = Array.from({ length: 1000 }, (_, at) => `when ${at} then 'group ${at}'`).join(' ');
      const expression = `case id ${groups} end`;
      await run(`select ${expression}, count(*) from "Readings" where value > 5 group by ${expression}`);
      expect(await inspectOnly(database, CHECK)).toMatchObject({
        findings: [],
        passed: [],
        notYet: [{ check: CHECK, needs: expect.stringContaining('cannot be planned') }],
      });
    });

    it('takes a table for seen only when rows of it are read', async () => {
      const client = database.connect();
      await client.unsafe('select public.pg_stat_statements_reset()');
      await client.unsafe('insert into app."Readings" select id, now(), id from app.side');
      expect(await inspectOnly(database, CHECK)).toMatchObject({ passed: [], notYet: [{ check: CHECK }] });
      await client.unsafe(`update app."Readings" set value = 6 where timestamp = '2026-03-01' and id = 1`);
      expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    });

    it('passes what writes rows of its own, and others that prune', async () => {
      await run(`insert into "Readings" values (1, '2026-03-01', 5)`);
      expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    });
  });

  it('is unknown to a role that may not read the table', async () => {
    const role = await createRole(database);
    await database.sql.unsafe(`grant usage on schema app to ${role.name}`);
    const { findings } = await inspectOnly(
      { url: role.url },
      CHECK,
      withQueries('select count(*) from "Readings"'),
    );
    expect(findings).toEqual([
      expect.objectContaining({ severity: 'unknown', message: expect.stringContaining('permission denied') }),
    ]);
    await dropRoles(database.sql, [role]);
  });

  it('finds that pruning is switched off, and its fix switches it on', async () => {
    await database.sql.unsafe(`alter database ${database.name} set enable_partition_pruning to off`);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toEqual([expect.objectContaining({ severity: 'critical', object: database.name })]);
    await applyFixes(database, findings);
    expect(
      await inspectOnly(database, CHECK, withQueries('select 1 from "Readings" where timestamp = $1')),
    ).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it.each([
    ['knows no query', {}],
    [
      'knows queries of other tables only',
      withQueries('select * from pg_catalog.pg_class where relname = $1'),
    ],
  ])('has nothing to judge by where it %s', async (_what, options) => {
    expect(await inspectOnly(database, CHECK, options)).toMatchObject({
      exitCode: 0,
      findings: [],
      passed: [],
      notYet: [{ check: CHECK, ripeAt: null, needs: expect.stringContaining('app."Readings"') }],
    });
  });
});

describe(`${CHECK}, of what a plan opens`, () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
    await database.sql.unsafe(`
      create table r (id bigint, device_id bigint, "timestamp" timestamptz not null, value float8) partition by range ("timestamp");
      create table other (id bigint, "timestamp" timestamptz not null) partition by range ("timestamp");
      do $$ declare t text; begin
        foreach t in array array['r', 'other'] loop
          for n in 0..11 loop
            execute format('create table %s_%s partition of %1$s for values from (%3$L) to (%4$L)', t, n,
                           timestamptz '2026-01-01+00' + make_interval(months => n), timestamptz '2026-01-01+00' + make_interval(months => n + 1));
          end loop;
        end loop; end $$;
      create schema types; create domain types.words as text;
      create index on r (device_id, "timestamp");
      create index on r ("timestamp");
      create index on r (id);
      insert into r select n, n % 10, timestamptz '2026-01-01+00' + n * interval '10 minutes', n from generate_series(1, 50000) n;
      create function slow(seconds float8) returns bool immutable language plpgsql
        as $$ begin perform pg_sleep(seconds); return true; end $$`);
    await database.sql.unsafe('analyze');
  });
  afterAll(() => database.drop());

  const OTHER = `select id from other where timestamp = '2026-01-01'`;
  const look = (queries: readonly string[], thresholds = '{}') =>
    inspectOnly(database, CHECK, {
      config: `inspect: { queries: ${JSON.stringify([...queries, OTHER])}, thresholds: { ${CHECK}: ${thresholds} } }`,
    });

  it.each([
    ['of all', 'select * from r order by timestamp desc limit 1'],
    ['of a device', 'select * from r where device_id = $1 order by timestamp desc limit $2'],
    [
      'of each device',
      'select l.* from generate_series(0, 9) d, lateral (select * from r where device_id = d order by timestamp desc limit 1) l',
    ],
    ['as a maximum', 'select max(timestamp) from r where device_id = 3'],
    ['as a minimum', 'select min(timestamp) from r'],
  ])('passes a query for the latest row %s', async (_what, query) => {
    expect(await look([query])).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it.each([
    ['of a subquery', `select from r where timestamp >= (select max(timestamp) from other)`],
    ['of another table', 'select r.value from other o join r on r.timestamp = o.timestamp where o.id = 7'],
    [
      'of a row for each',
      'select from generate_series(1, 3) n, lateral (select from r where timestamp = now() + n * interval $1 offset 0) s'.replace(
        '$1',
        "'1 hour'",
      ),
    ],
  ])('passes one that prunes by values %s', async (_what, query) => {
    const { findings } = await look([query]);
    expect(findings.filter(({ object }) => object === 'public.r')).toEqual([]);
  });

  it.each([
    ['or is of another column', 'select from r where timestamp >= (select now()) or device_id = $1'],
    ['of a row with itself', 'select from r where timestamp > to_timestamp(value) + (select $1::interval)'],
    ['that may be unknown', 'select from r where (timestamp >= (select now())) is not false'],
    [
      'in a CASE',
      'select from r where case when device_id = 1 then timestamp >= (select now()) else true end',
    ],
    [
      'with a time of its own for each row',
      `select from r where timestamp >= clock_timestamp() - $1::interval`,
    ],
    [
      'with such a time and another',
      'select from r where timestamp >= clock_timestamp() - (select $1::interval)',
    ],
    [
      'with a type of a schema',
      `select from r where timestamp >= (to_char(now(), '"2000-01-01"')::types.words)::timestamptz`,
    ],
    ['with a fraction of a second', `select from r where timestamp >= '2000-01-01 00:00:00.5+00'`],
    [
      'with a list',
      'select from r where timestamp = any (array(select at from (select now() as at offset 0) s))',
    ],
  ])('finds one with a comparison %s', async (_what, query) => {
    expect((await look([query])).findings).toMatchObject([{ severity: 'warning', object: 'public.r' }]);
  });

  it('takes a table of the same name in another schema for another one', async () => {
    await database.sql.unsafe(`create schema elsewhere;
      create table elsewhere."o""dd" (at timestamptz) partition by range (at);
      create table elsewhere.r (at timestamptz) partition by range (at);
      do $$ declare t text; begin
        foreach t in array array['r', 'o"dd'] loop
          for n in 0..5 loop
            execute format('create table elsewhere.%I partition of elsewhere.%I for values from (%L) to (%L)', t || n, t,
                           timestamptz '2026-01-01+00' + make_interval(months => n), timestamptz '2026-01-01+00' + make_interval(months => n + 1));
          end loop;
        end loop; end $$`);
    const { notYet } = await look([
      `select 'elsewhere.r' as text, * from r where timestamp = $1`,
      'select * from elsewhere."o""dd" where at = $1',
    ]);
    expect(notYet).toEqual([expect.objectContaining({ needs: expect.stringContaining('elsewhere.r ') })]);
    await database.sql.unsafe('drop schema elsewhere cascade');
  });

  it.each([
    ['in the order of another column', 'select * from r order by id limit 1'],
    ['in no order', 'select * from r where value > 5 limit 10'],
    ['of all rows', 'select * from (select * from r order by timestamp) o where value > 5'],
    ['of a count of them', 'select device_id, count(*) from r group by device_id order by device_id limit 1'],
  ])('finds a query for the first rows %s', async (_what, query) => {
    expect((await look([query])).findings).toMatchObject([{ severity: 'warning', object: 'public.r' }]);
  });

  it('looks at all but the table on which somebody holds a lock', async () => {
    const locker = database.connect();
    await locker.unsafe('begin; lock table only r_3 in access exclusive mode');
    const { findings, passed } = await look(['select * from r', 'select * from other']);
    await locker.unsafe('rollback');
    expect(passed).toEqual([]);
    expect(findings).toMatchObject([
      { check: CHECK, severity: 'warning', object: 'public.other' },
      { severity: 'unknown', object: 'public.r_3' },
    ]);
  });

  it('says how many it had no time to plan, and judges the others', async () => {
    const slow = Array.from(
      { length: 20 },
      (_, at) => `select ${at} from r where timestamp = $1 and slow(0.2)`,
    );
    const { findings } = await look(['select * from other', ...slow], '{ seconds: 1 }');
    expect(findings).toMatchObject([
      { severity: 'warning', object: 'public.other' },
      { severity: 'unknown', evidence: { statements: 22, notPlanned: expect.any(Number) } },
    ]);
    expect(findings[1]?.evidence.notPlanned).toBeGreaterThan(10);
    expect((await look(['select * from r where slow(60)'], '{ seconds: 0.3 }')).findings).toMatchObject([
      { severity: 'unknown', evidence: { statements: 2, notPlanned: 2 } },
    ]);
  });
});

it('does not plan what would take more than half of the server’s locks, and says so once a table', async () => {
  const server = await startServer({
    settings: {
      shared_preload_libraries: 'pg_stat_statements',
      max_locks_per_transaction: '10',
      max_connections: '20',
      max_prepared_transactions: '0',
    },
  });
  const database = await createDatabase({ server: server.url });
  try {
    await database.sql.unsafe('create extension pg_stat_statements');
    await database.sql.unsafe(
      'create table readings (id bigint, at timestamptz primary key) partition by range (at)',
    );
    for (let n = 0; n < 60; n += 1) {
      await database.sql.unsafe(
        `create table readings_${n} partition of readings for values from ('2026-01-01'::timestamptz + interval '${n} days') to ('2026-01-01'::timestamptz + interval '${n + 1} days')`,
      );
    }
    for (const day of [3, 4]) {
      await database.sql.unsafe(
        `select id ${day === 3 ? '' : ', at'} from readings where at = '2026-01-0${day}'`,
      );
    }
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toEqual([
      expect.objectContaining({
        severity: 'unknown',
        object: 'public.readings',
        evidence: expect.objectContaining({ statements: 2, relations: 122, locks: 200 }),
      }),
    ]);
  } finally {
    await database.drop();
    await server.stop();
  }
});
