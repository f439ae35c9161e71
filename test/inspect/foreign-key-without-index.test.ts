import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { runMigrations } from '../support/migrations.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const CHECK = 'foreign_key_without_index';
const REFERENCED =
  'create table d (a int, b int, unique (a, b), unique (a)); insert into d select n, n from generate_series(1, 20) n;';

const PARTITIONED = `${REFERENCED}
  create table r (id bigint, a int references d (a) on delete cascade, at timestamptz not null) partition by range (at);
  create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
  create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01');
  insert into r select n, 1 + n % 20, '2026-01-15' from generate_series(1, 12000) n;
  vacuum analyze`;

const PLAIN = `${REFERENCED}
  create table t (id bigint, a int, b int, foreign key (a, b) references d (a, b));
  insert into t select n, 1 + n % 20, 1 + n % 20 from generate_series(1, 12000) n;`;

describe(CHECK, () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  // VACUUM runs in no transaction, and several statements sent together are one.
  const make = async (text: string) => {
    for (const statement of text.split(';')) await database.sql.unsafe(statement);
  };

  it('finds one of a partitioned table, once, and its fix builds the index on every partition', async () => {
    await make(PARTITIONED);
    const role = await createRole(database);
    expect((await inspectOnly({ url: role.url }, CHECK)).findings).toHaveLength(1);
    await dropRoles(database.sql, [role]);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toEqual([
      expect.objectContaining({
        severity: 'warning',
        object: 'public.r',
        evidence: expect.objectContaining({ partitionsWithoutIndex: 2 }),
      }),
    ]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    expect(await database.sql`select from pg_index where not indisvalid`).toHaveLength(0);
  });

  const indexes = async (relation: string) => {
    const rows = await database.sql`select pg_get_indexdef(x.indexrelid) as text from pg_index x
      where x.indrelid = ${relation}::regclass and x.indisvalid`;
    return rows.map(({ text }) => text.replace(/^.* USING/, 'USING'));
  };

  it.each([
    [
      'by hash, and one has it',
      `create table r (id bigint, "A b" int references d (a), at timestamptz) partition by hash (id);
       create table r_1 partition of r for values with (modulus 2, remainder 0);
       create table r_2 (at timestamptz, "A b" int, id bigint);
       alter table r attach partition r_2 for values with (modulus 2, remainder 1);
       create index mine on r_2 ("A b")`,
      1,
    ],
    [
      'of partitions',
      `create table r (id bigint, "A b" int references d (a), at timestamptz) partition by range (at);
       create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01') partition by list (id);
       create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01');
       create table r_1_1 partition of r_1 default`,
      2,
    ],
  ])(
    'finds one of a table that is partitioned %s, and its fix builds the index',
    async (_what, tables, lacking) => {
      await make(`${REFERENCED} ${tables};
      insert into r select n, 1 + n % 20, '2026-01-15' from generate_series(1, 24000) n; analyze`);
      const { findings } = await inspectOnly(database, CHECK);
      expect(findings).toEqual([
        expect.objectContaining({ evidence: expect.objectContaining({ partitionsWithoutIndex: lacking }) }),
      ]);
      await applyFixes(database, findings);
      for (const relation of ['r', 'r_1', 'r_2'])
        expect(await indexes(relation)).toEqual(['USING btree ("A b")']);
      const { findings: left } = await inspect(database, ['indexes', '--skip', 'index_unused']);
      expect(left).toEqual([]);
      expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    },
  );

  const LEAVES = `${REFERENCED}
    create table r (id bigint, "A b" int, at timestamptz not null) partition by range (at);
    create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
    create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01');
    insert into r select n, 1 + n % 20, '2026-01-15' from generate_series(1, 12000) n;
    insert into r select n, 1 + n % 20, '2026-02-15' from generate_series(1, 12000) n;
    analyze`;
  const key = (table: string) => `alter table ${table} add foreign key ("A b") references d (a)`;
  const lacking = async () => {
    const { findings } = await inspectOnly(database, CHECK);
    return findings.map(({ object, evidence }) => [object, evidence.rows, evidence.partitionsWithoutIndex]);
  };
  const mended = async () => {
    await applyFixes(database, (await inspectOnly(database, CHECK)).findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    expect((await inspect(database, ['indexes', '--skip', 'index_unused'])).findings).toEqual([]);
  };

  it('finds one of a single partition, and its fix builds the index there alone', async () => {
    await make(`${LEAVES}; ${key('r_1')}`);
    expect(await lacking()).toEqual([['public.r_1', 12_000, null]]);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings[0]?.fix).toEqual(['create index concurrently "r_1_A b_idx" on public.r_1 ("A b")']);
    await mended();
    expect(await indexes('r_2')).toEqual([]);
  });

  it('finds those that each partition has of its own once, and its fix builds the index on the table', async () => {
    await make(`${LEAVES}; ${key('r_1')}; ${key('r_2')}`);
    expect(await lacking()).toEqual([['public.r', 24_000, 2]]);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([
      {
        message:
          'No index leads to "A b" of the foreign keys to public.d on 2 partitions: each row deleted from public.d scans 24,000 rows.',
        evidence: { constraint: ['r_1_A b_fkey', 'r_2_A b_fkey'] },
      },
    ]);
    await mended();
    expect(await indexes('r')).toEqual(['USING btree ("A b")']);
  });

  it('builds the index on those partitions alone that have a foreign key, where some have none', async () => {
    await make(`${LEAVES}; ${key('r_1')}; ${key('r_2')};
      create table r_3 partition of r for values from ('2026-03-01') to ('2026-04-01')`);
    expect(await lacking()).toEqual([['public.r', 24_000, 2]]);
    await mended();
    for (const relation of ['r', 'r_3']) expect(await indexes(relation)).toEqual([]);
  });

  it('tells those that lead to another table from them', async () => {
    await make(`${LEAVES}; ${key('r_1')}; ${key('r_2')}; create table e (a int primary key);
      insert into e select generate_series(1, 20); alter table r_2 add foreign key ("A b") references e`);
    expect(await lacking()).toEqual([
      ['public.r', 24_000, 2],
      ['public.r_2', 12_000, null],
    ]);
  });

  it('counts none twice that the table has, too', async () => {
    await make(
      `${LEAVES}; ${key('r_1')}; ${key('r')}; alter table r_2 add constraint again foreign key ("A b") references d (a)`,
    );
    expect(await lacking()).toEqual([['public.r', 24_000, 2]]);
    await mended();
  });

  it('finds one of a partition that is partitioned further, and its fix builds the index there', async () => {
    await make(`${LEAVES};
      create table r_3 partition of r for values from ('2026-03-01') to ('2026-04-01') partition by list (id);
      create table r_3_1 partition of r_3 for values in (1); create table r_3_2 partition of r_3 default;
      insert into r select n, 1 + n % 20, '2026-03-15' from generate_series(1, 12000) n; analyze; ${key('r_3')}`);
    expect(await lacking()).toEqual([['public.r_3', 12_000, 2]]);
    await mended();
    expect(await indexes('r_3')).toEqual(['USING btree ("A b")']);
    expect(await indexes('r')).toEqual([]);
  });

  it('leaves an index of the table that lacks parts to the check that looks for those', async () => {
    await make(`${PARTITIONED}; create index half on only r (a)`);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    await make(
      'alter table r drop constraint r_a_fkey; alter table r_1 add foreign key (a) references d (a)',
    );
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    expect((await inspectOnly(database, 'index_missing_on_leaf')).findings).toHaveLength(1);
  });

  it('repairs nothing but indexes', async () => {
    await make(PARTITIONED);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings[0]?.fix[1]).toBe('sensordb partitions repair --table public.r --only indexes');
  });

  it('takes no BRIN index for one that leads to a row', async () => {
    await make(`create table d (id int primary key);
      insert into d select generate_series(1, 20);
      create table t (id int, d_id int references d);
      insert into t select n, 1 + n % 20 from generate_series(1, 12000) n;
      create index on t using brin (d_id);
      analyze t`);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([{ object: 'public.t' }]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('finds one that a single partition lacks', async () => {
    await make(`${PARTITIONED}; create index on r_1 (a)`);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toEqual([
      expect.objectContaining({ evidence: expect.objectContaining({ partitionsWithoutIndex: 1 }) }),
    ]);
  });

  it.each([
    ['no index', ''],
    ['a partial one', 'create index on t (a, b) where a > 3'],
    ['one that begins with another column', 'create index on t (id, a, b)'],
    ['one of the first column alone', 'create index on t (a)'],
  ])('finds one of a plain table with %s, and its fix builds one', async (_what, index) => {
    await make(`${PLAIN} ${index}; analyze`);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toEqual([expect.objectContaining({ severity: 'warning', object: 'public.t' })]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it.each([
    ['in another order, with more behind', 'create index on t (b, a, id)'],
    ['that is unique', 'create unique index on t (a, b, id)'],
  ])('passes over a key with an index %s', async (_what, index) => {
    await make(`${PLAIN} ${index}; analyze`);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('passes over tables of few rows, and over the tables that sensordb makes', async () => {
    await runMigrations(database.sql, 'public');
    await make(
      `${REFERENCED} create table few (a int references d (a)); insert into few select 1 from generate_series(1, 100); analyze`,
    );
    const config = `inspect: { thresholds: { ${CHECK}: { rows: 0 } } }`;
    const { findings } = await inspectOnly(database, CHECK, { config });
    expect(findings.map(({ object }) => object)).toEqual(['public.few']);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });
});
