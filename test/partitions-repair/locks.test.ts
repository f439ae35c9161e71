import type { Sql } from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type HeldLock, locksOf, strongest, tableOids } from '../support/locks.ts';
import { startProxy } from '../support/proxy.ts';
import { createReadings, repair } from '../support/repair.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { expectHeadsToTell } from '../support/sql-heads.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let role: TestRole;
beforeAll(async () => {
  database = await createDatabase();
  role = await createRole(database);
  await createReadings(database, role.name);
});
afterAll(async () => {
  await dropRoles(database.sql, [role]);
  await database.drop();
});

interface Step {
  readonly sql: string;
  readonly transaction: number | null;
  readonly locks: readonly HeldLock[];
}

const LEAF = 'readings_2026_02';

it.each([
  ['of another owner', `alter table ${LEAF} owner to ROLE`],
  ['without a privilege', `revoke select on ${LEAF} from ROLE`],
  ['with another replica identity', `alter table ${LEAF} replica identity full`],
  [
    'whose parent has a replica identity',
    'alter table only readings replica identity using index readings_pkey',
  ],
  ['with a disabled trigger', `alter table ${LEAF} disable trigger stamped`],
  ['without row security', `alter table ${LEAF} disable row level security`],
  ['with a surplus policy', `create policy more on ${LEAF} using (true)`],
  [
    'without a policy that reads a table',
    'create policy known on readings using (exists (select from device where device.id = device_id))',
  ],
  ['with a statistics target', `alter table ${LEAF} alter column value set statistics 7`],
  ['without a storage parameter', 'alter table readings_2026_03 set (fillfactor = 90)'],
  [
    'without a storage parameter of its index',
    'alter index readings_2026_03_at_idx set (autosummarize = on)',
  ],
  ['without an index', 'create index readings_value on only readings (value)'],
  [
    'without a unique constraint',
    'alter table only readings add constraint readings_one unique (value, id, at)',
  ],
  [
    'that has the index aside',
    `create index readings_note on only readings (note); create index aside on ${LEAF} (note)`,
  ],
  [
    'that is partitioned, without an index and a key',
    `create table part (id int not null, at timestamptz not null) partition by range (at);
     create table part_1 partition of part for values from ('2026-01-01Z') to ('2026-02-01Z') partition by range (id);
     create table part_1a partition of part_1 for values from (0) to (9);
     create index part_at on only part (at); alter table only part add primary key (id, at)`,
  ],
])('takes the very locks that --dry-run declares, on a leaf %s', async (_what, happens) => {
  await database.sql.unsafe(happens.replaceAll('ROLE', role.name));
  const table = happens.includes('part_1') ? ['-t', 'part'] : [];
  await compare(database, table);
});

it('takes the very locks that --dry-run declares where interrupted builds are cleared away', async () => {
  const writer = database.connect();
  const builder = database.connect();
  for (const statement of [
    `create index concurrently half on ${LEAF} (device_id)`,
    `reindex index concurrently ${LEAF}_at_idx`,
    'create index concurrently attached on readings_2026_01 (id)',
  ]) {
    const leaf = / on (readings\w+)/.exec(statement)?.[1] ?? LEAF;
    await writer.unsafe(`begin; lock table ${leaf} in row exclusive mode; select pg_current_xact_id()`);
    await expect(builder.unsafe(`set statement_timeout = '100ms'`)).resolves.toBeDefined();
    await expect(builder.unsafe(statement)).rejects.toMatchObject({ code: '57014' });
    await writer`rollback`;
  }
  await database.sql.unsafe(`create index readings_device on only readings (device_id);
    create index readings_id on only readings (id); alter index readings_id attach partition attached`);
  await compare(database, []);
});

/** Runs it, and compares the locks of each transaction, and of each statement outside of any, with those declared. */
async function compare({ url, sql }: TestDatabase, table: readonly string[]): Promise<void> {
  const planned = await repair({ url }, [...table, '--dry-run']);
  expect(planned.exitCode).toBe(0);
  const steps = planned.data.steps as readonly Step[];
  expect(steps.length).toBeGreaterThan(0);
  expectHeadsToTell(steps);
  const tables = await tableNames(sql);
  // Each statement outside of any transaction stands for itself.
  const declared = new Map<string, HeldLock[]>();
  for (const { transaction, sql: text, locks } of steps) {
    const key = transaction === null ? text : `transaction of ${firstOf(steps, transaction)}`;
    declared.set(key, [
      ...(declared.get(key) ?? []),
      ...locks.filter(({ relation }) => tables.has(relation)),
    ]);
  }
  const existing = await tableOids(sql);
  const taken = new Map<string, readonly HeldLock[]>();
  const note = async (key: string, pid: number, always: boolean) => {
    taken.set(key, await locksOf(sql, pid, existing, always));
  };
  let current = '';
  const writer = database.connect();
  const proxy = await startProxy(url, {
    before: async ({ text, backendPid }) => {
      const step = steps.find((one) => one.sql === text);
      if (step?.transaction === null) {
        const watch = await holdUp(writer, step, backendPid);
        void watch.waiting.then(() => note(text, backendPid, true)).finally(watch.release);
      } else if (step !== undefined && current === '' && !isGuard(text)) current = `transaction of ${text}`;
      else if (text === 'commit' && current !== '') {
        await note(current, backendPid, false);
        current = '';
      }
    },
  });
  const result = await repair(proxy, table);
  await proxy.close();
  expect(result).toMatchObject({ exitCode: 0, error: null });
  const shown = (locks: ReadonlyMap<string, readonly HeldLock[]>) =>
    Object.fromEntries([...locks].map(([key, list]) => [key, strongest(list)]));
  expect(shown(taken)).toEqual(shown(declared));
}

function firstOf(steps: readonly Step[], transaction: number): string {
  return steps.find((step) => step.transaction === transaction && !isGuard(step.sql))?.sql ?? '';
}

/** Guards are the same in all the transactions on a leaf. */
const isGuard = (text: string): boolean => text.startsWith('select sensordb.refuse');

/** Makes a statement wait for a writer of its leaf, at which moment its locks can be looked at. */
async function holdUp(writer: Sql, step: Step, pid: number) {
  const leaf = step.locks[0]?.relation ?? '';
  await writer.unsafe(`begin; lock table ${leaf} in row exclusive mode; select pg_current_xact_id()`);
  const waiting = until(async () => {
    const [row] = await database.sql<{ waits: boolean }[]>`
      select exists (select from pg_locks where pid = ${pid} and not granted) as waits`;
    return row?.waits === true;
  });
  return { waiting, release: () => writer`rollback`.then(() => {}) };
}

/** Names the tables; what declares locks names indexes, too. */
async function tableNames(sql: Sql): Promise<ReadonlySet<string>> {
  const rows = await sql<{ name: string }[]>`
    select format('%I.%I', c.relnamespace::regnamespace, c.relname) as name from pg_class c where c.relkind in ('r', 'p')`;
  return new Set(rows.map(({ name }) => name));
}
