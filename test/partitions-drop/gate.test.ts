import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type PartitionedTable, readPartitionedTable } from '../../src/db/catalog.ts';
import { resolveConninfo } from '../../src/db/conninfo/resolve.ts';
import { connect, type Session } from '../../src/db/session.ts';
import { reading } from '../../src/db/transaction.ts';
import { askGate, type Purpose } from '../../src/partitions/gate.ts';
import { readPartitions } from '../../src/partitions/read.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let session: Session;
beforeAll(async () => {
  database = await createDatabase();
  const signal = new AbortController().signal;
  session = await connect(resolveConninfo({ url: database.url, env: {} }), { signal, onNotice: () => {} });
});
afterAll(async () => {
  await session.close();
  await database.drop();
});

beforeEach(async () => {
  await database.sql.unsafe(`set client_min_messages to warning; drop schema public cascade; create schema public;
    create table t (id bigint not null, at timestamptz not null, primary key (id, at)) partition by range (at);
    create table t_1 partition of t for values from ('2025-01-01Z') to ('2025-02-01Z');
    create table t_2 partition of t for values from ('2025-02-01Z') to ('2025-03-01Z');
    insert into t values (1, '2025-01-05Z'), (2, '2025-02-05Z')`);
});

/** Asks the gate about every leaf of t: the leaf and the reason, one a line. */
async function asked(purpose: Purpose): Promise<readonly string[]> {
  const [table, leaves] = await tableAndLeaves();
  const refusals = await askGate(session, table, leaves, purpose);
  return refusals.map(({ name, reason }) => `${name} ${reason}`);
}

async function messages(purpose: Purpose): Promise<readonly string[]> {
  const [table, leaves] = await tableAndLeaves();
  return (await askGate(session, table, leaves, purpose)).map(({ message }) => message);
}

async function tableAndLeaves() {
  const table: PartitionedTable = await reading(session, () => readPartitionedTable(session, 't'));
  const { leaves } = await reading(session, () => readPartitions(session, table));
  return [table, leaves] as const;
}

it('lets pass a leaf that nothing depends on but what is its own', async () => {
  await database.sql.unsafe(`create index on t (id);
    create sequence t_1_seq owned by t_1.id;
    alter table t_1 alter column id set default nextval('t_1_seq');
    create policy own on t_1 using (exists (select from t_1 o where o.id > 0));
    create rule own as on delete to t_1 where old.id < 0 do also select count(*) from t_1;
    create statistics own on id, at from t_1;
    create function noted() returns trigger language plpgsql as 'begin return new; end';
    create trigger own before update on t_1 for each row when (old.id > 0) execute function noted();
    alter table t_1 add check (id > 0);
    create publication own for table t_1`);
  expect(await asked('drop')).toEqual([]);
  expect(await asked('detach')).toEqual([]);
  await database.sql.unsafe('drop publication own');
});

it.each([
  ['a view', 'create view v as select id from t_1', 'view public.v depends on public.t_1.'],
  [
    'a view over its row type',
    'create view v as select (null::t_1).id as id',
    'view public.v depends on public.t_1.',
  ],
  [
    'a view that leans on its primary key',
    'create view v as select id, at, count(*) from t_1 group by id, at',
    'view public.v depends on public.t_1.',
  ],
  [
    'a materialized view',
    'create materialized view m as select id from t_1',
    'materialized view public.m depends on public.t_1.',
  ],
  [
    'a function in SQL',
    'create function f() returns bigint begin atomic select count(*) from t_1; end',
    'function public.f() depends on public.t_1.',
  ],
  [
    'a policy of another table',
    'create table o (id int); create policy p on o using (exists (select from t_1))',
    'policy p on table public.o depends on public.t_1.',
  ],
  [
    'a column of its row type',
    'create table o (id int, whole t_1)',
    'column whole of table public.o depends on public.t_1.',
  ],
  [
    'a default from a sequence that it owns',
    `create sequence s owned by t_1.id; create table o (id int default nextval('s'))`,
    'default value for column id of table public.o depends on public.t_1.',
  ],
  [
    'a rule of another table',
    'create table o (id int); create rule r as on insert to o do also delete from t_1',
    'rule r on table public.o depends on public.t_1.',
  ],
  [
    'a view of one of its own partitions',
    `alter table t detach partition t_1; drop table t_1;
     create table t_1 partition of t for values from ('2025-01-01Z') to ('2025-02-01Z') partition by range (id);
     create table t_1a partition of t_1 for values from (0) to (10);
     create view v as select id from t_1a`,
    'view public.v depends on public.t_1.',
  ],
])('names %s that depends on a leaf', async (_what, statement, message) => {
  await database.sql.unsafe(statement);
  expect(await asked('drop')).toEqual(['t_1 depended_on']);
  expect(await messages('drop')).toEqual([message]);
  expect(await messages('detach')).toEqual([message]);
});

const ALARM = 'create table alarm (id bigint, at timestamptz, foreign key (id, at) references t (id, at))';
const PARTITIONED_ALARM = `create table alarm (id bigint, at timestamptz, foreign key (id, at) references t (id, at))
    partition by range (at);
  create table alarm_2025 partition of alarm for values from ('2025-01-01Z') to ('2026-01-01Z')`;
const ROW = "insert into alarm values (1, '2025-01-05Z')";

it.each([
  ['a table', [ALARM]],
  ['a partitioned table', [PARTITIONED_ALARM]],
  [
    'one partition of a table',
    [
      'create table alarm (id bigint, at timestamptz) partition by range (at)',
      "create table alarm_2025 partition of alarm for values from ('2025-01-01Z') to ('2026-01-01Z')",
      'alter table alarm_2025 add foreign key (id, at) references t (id, at)',
    ],
  ],
  [
    'the table itself',
    [
      'alter table t add old_id bigint, add old_at timestamptz, add foreign key (old_id, old_at) references t',
    ],
  ],
])(
  'of leaves whose parent %s references none is dropped, and those are detached that have no such row',
  async (_what, statements) => {
    for (const statement of statements) await database.sql.unsafe(statement);
    expect(await asked('drop')).toEqual(['t_1 referenced', 't_2 referenced']);
    expect(await asked('detach')).toEqual([]);
    // PostgreSQL says the same, each time.
    await expect(database.sql.unsafe('drop table t_1')).rejects.toMatchObject({ code: '2BP01' });
    await database.sql.unsafe(
      statements.length === 1 && statements[0]?.startsWith('alter')
        ? "update t set old_id = 1, old_at = '2025-01-05Z' where id = 2"
        : ROW,
    );
    expect(await asked('detach')).toEqual(['t_1 referenced_rows']);
    await expect(database.sql.unsafe('alter table t detach partition t_1')).rejects.toMatchObject({
      code: '23503',
    });
    await database.sql.unsafe('alter table t detach partition t_2');
  },
);

it('a foreign key with a NULL in it references nothing', async () => {
  await database.sql.unsafe(`${ALARM}; insert into alarm values (null, '2025-01-05Z')`);
  expect(await asked('detach')).toEqual([]);
  await database.sql.unsafe('alter table t detach partition t_1');
});

it('a foreign key to the leaf itself keeps it from both', async () => {
  await database.sql.unsafe(
    'create table o (id bigint, at timestamptz, foreign key (id, at) references t_1)',
  );
  const message = 'public.t_1 is referenced by the foreign key o_id_at_fkey of public.o.';
  expect(await messages('drop')).toEqual([message]);
  expect(await messages('detach')).toEqual([message]);
});

it('names a partitioned referencing table once, and many of them in short', async () => {
  await database.sql.unsafe(PARTITIONED_ALARM);
  expect((await messages('drop'))[0]).toBe(
    'public.t_1 is referenced by the foreign key alarm_id_at_fkey of public.alarm.',
  );
  for (const n of [1, 2, 3, 4, 5, 6]) {
    await database.sql.unsafe(
      `create table o_${n} (id bigint, at timestamptz, foreign key (id, at) references t)`,
    );
  }
  expect((await messages('drop'))[0]).toMatch(
    /by foreign keys: alarm_id_at_fkey of public.alarm, .* and 2 more\.$/,
  );
});

it('looks at referencing rows of other column types and of odd names', async () => {
  await database.sql.unsafe(`create table "al,ar""m" ("i d" int, "a't" timestamptz, note text,
      foreign key ("a't", "i d") references t (at, id));
    insert into "al,ar""m" values (2, '2025-02-05Z')`);
  expect(await asked('detach')).toEqual(['t_2 referenced_rows']);
});

it('leaves to DETACH itself what it cannot look at', async () => {
  await database.sql.unsafe(`${ALARM}; ${ROW}`);
  await database.connect().begin(async (other) => {
    await other.unsafe('lock table alarm in access exclusive mode');
    expect(await asked('detach')).toEqual([]);
  });
});

it('rows of a leaf that reference rows of the very same leaf keep it attached, as PostgreSQL has it', async () => {
  await database.sql.unsafe(`alter table t add old_id bigint, add old_at timestamptz, add foreign key (old_id, old_at) references t;
    update t set old_id = 1, old_at = '2025-01-05Z' where id = 1`);
  expect(await asked('detach')).toEqual(['t_1 referenced_rows']);
  await expect(database.sql.unsafe('alter table t detach partition t_1')).rejects.toMatchObject({
    code: '23503',
  });
});
