import type { Sql } from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliResult, runCli, spawnCli } from '../support/cli.ts';
import { allTables } from '../support/leaf-facts.ts';
import { type PassingStatement, startProxy } from '../support/proxy.ts';
import { createReadings, drift, repair } from '../support/repair.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

let template: TestDatabase;
let rehearsal: Awaited<ReturnType<typeof rehearse>>;
beforeAll(async () => {
  template = await createDatabase();
  await createReadings(template, 'pg_monitor');
  await letDrift(template);
  await template.leave();
  rehearsal = await rehearse();
}, 60_000);
afterAll(() => template.drop());

/** One of each: what an ALTER or a GRANT mends, an index to build, one for a constraint, and leftovers of interrupted builds. */
async function letDrift({ sql, connect }: TestDatabase): Promise<void> {
  const writer = connect();
  const builder = connect();
  await builder.unsafe("set statement_timeout = '50ms'");
  for (const [statement, leaf] of [
    ['create index concurrently left_over on readings_2026_02 (value)', 'readings_2026_02'],
    ['create index concurrently attached on readings_2026_01 (value)', 'readings_2026_01'],
    ['reindex index concurrently readings_2026_03_at_idx', 'readings_2026_03'],
  ] as const) {
    await hold(writer, leaf);
    await expect(builder.unsafe(statement)).rejects.toMatchObject({ code: '57014' });
    await writer`rollback`;
  }
  await sql.unsafe(`create index readings_value on only readings (value);
    alter index readings_value attach partition attached;
    create index readings_2026_03_value on readings_2026_03 (value);
    alter table only readings add constraint readings_one unique (device_id, id, at);
    alter table only readings replica identity using index readings_pkey;
    alter table only readings alter column value set statistics 5;
    alter table readings_2026_02 disable trigger stamped;
    drop policy named on readings_2026_02;
    create policy more on readings_2026_01 using (true);
    revoke select on readings_2026_03 from pg_monitor;
    grant insert on readings_2026_01 to public;
    alter index readings_2026_03_at_idx set (autosummarize = on)`);
}

/** Opens a transaction that writes to a leaf. */
async function hold(sql: Sql, leaf: string): Promise<void> {
  await sql.unsafe(`begin; lock table ${leaf} in row exclusive mode; select pg_current_xact_id()`);
}

const copy = () => createDatabase({ template: template.name });
const WORDS = ['partitions', 'repair', '-t', 'readings', '--json'];

/** A statement, and of a COMMIT what it commits: how often a wait looks around, and so any number, is another each time. */
interface Moment {
  readonly text: string;
  readonly after: string;
}

async function rehearse() {
  const database = await copy();
  const proxy = await startProxy(database.url);
  expect(await repair(proxy)).toMatchObject({ exitCode: 0, error: null });
  await proxy.close();
  const state = await stateOf(database);
  await database.drop();
  return { moments: oneOfEachKind(proxy.statements), state };
}

/** What the tables are; of the indexes of a table none comes first. */
async function stateOf({ sql }: TestDatabase) {
  const tables = await allTables(sql);
  const locks = await sql`select from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())`;
  const invalid = await sql`select from pg_index where not indisvalid`;
  return {
    locks: locks.length,
    invalid: invalid.length,
    tables: Object.entries(tables).map(([name, facts]) => ({
      name,
      ...facts,
      indexes: facts.indexes.map((index) => JSON.stringify(index)).toSorted(),
    })),
  };
}

const WRITES = /^(create|alter|drop|reindex|grant|revoke)\s/i;
const GUARD = /^select sensordb\.refuse/;

/** Follows the statements of a run, and tells of each what was changed before it in its transaction. */
function follower() {
  let changed = '';
  return (text: string): Moment => {
    if (/^(begin|start)\b/.test(text)) changed = '';
    const moment = { text, after: changed };
    if (WRITES.test(text)) changed = text;
    return moment;
  };
}

/** Chooses one statement of each kind, by its first words; a guard and a COMMIT by those of what was changed before. */
function oneOfEachKind(statements: readonly string[]): readonly Moment[] {
  const kinds = new Map<string, Moment>();
  const follow = follower();
  for (const moment of statements.map(follow)) {
    const { text, after } = moment;
    if (WRITES.test(text)) kinds.set(kindOf(text), kinds.get(kindOf(text)) ?? moment);
    if (!GUARD.test(text) && (text !== 'commit' || after === '')) continue;
    const kind = `${text.slice(0, 6)} after ${after.split(/\s+/).slice(0, 2).join(' ')}`;
    kinds.set(kind, kinds.get(kind) ?? moment);
  }
  return [...kinds.values()];
}

/** Alike are statements that say the same of another leaf: ALTER TABLE … REPLICA IDENTITY of two leaves. */
function kindOf(text: string): string {
  const words = text
    .split(/\s+/)
    .filter((word) => !/readings|attached|left_over/.test(word))
    .slice(0, 4);
  return words.join(' ');
}

/** Disturbs a run at each of the moments in turn, in a database of its own, and expects the next run to make it good. */
async function eachDisturbed(
  when: (moment: Moment) => 'before' | 'after',
  disturb: (statement: PassingStatement, database: TestDatabase) => void | Promise<void>,
  work: (url: string, where: string) => Promise<void>,
): Promise<void> {
  const { moments, state } = rehearsal;
  expect(moments.length).toBeGreaterThan(15);
  for (const moment of moments) {
    const where = `${when(moment)} ${moment.text.slice(0, 80)}, after ${moment.after.slice(0, 60)}`;
    const database = await copy();
    const follow = follower();
    let isDone = false;
    let number = 0;
    const proxy = await startProxy(database.url, {
      before: async (statement) => {
        const { text, after } = follow(statement.text);
        if (isDone || text !== moment.text || after !== moment.after) return;
        isDone = true;
        number = statement.number;
        if (when(moment) === 'before') await disturb(statement, database);
      },
      after: async (statement) => {
        if (statement.number === number && when(moment) === 'after') await disturb(statement, database);
      },
    });
    await work(proxy.url, where);
    await proxy.close();
    expect(isDone, where).toBe(true);
    const { exitCode, error } = await repair(database, ['--wait', '20s']);
    expect({ exitCode, error }, where).toEqual({ exitCode: 0, error: null });
    expect(await stateOf(database), where).toEqual(state);
    await database.drop();
  }
}

function expectHonest({ exitCode, json, stdout }: CliResult, where: string): void {
  expect([1, 4], where).toContain(exitCode);
  expect(stdout.trim().split('\n'), where).toHaveLength(1);
  expect(json(), where).toMatchObject({ ok: false });
  expect(json().error?.code, where).toMatch(/^(connection_lost|server_unreachable|login_refused)$/);
}

const honestRun = async (url: string, where: string) => expectHonest(await runCli(WORDS, { url }), where);
const isCommit = ({ text }: Moment): 'before' | 'after' => (text === 'commit' ? 'after' : 'before');

it('is made good by the next run, wherever the connection broke', { timeout: 300_000 }, async () => {
  await eachDisturbed(isCommit, ({ cut }) => cut(), honestRun);
});

it('is made good by the next run when its server process is terminated', { timeout: 300_000 }, async () => {
  const terminate = async ({ backendPid }: PassingStatement, { sql }: TestDatabase) => {
    await sql`select pg_terminate_backend(${backendPid}, 5000)`;
  };
  await eachDisturbed(() => 'before', terminate, honestRun);
});

it('is made good by the next run after SIGKILL', { timeout: 300_000 }, async () => {
  let kill = () => {};
  await eachDisturbed(
    () => 'after',
    () => kill(),
    async (url, where) => {
      const run = spawnCli(WORDS, { url });
      kill = () => run.kill('SIGKILL');
      expect((await run.ended).exitCode, where).toBeNull();
    },
  );
});

it.each([
  ['create index concurrently readings_2026_02', 'readings_2026_02'],
  ['reindex index concurrently public.attached', 'readings_2026_01'],
  ['drop index concurrently public.readings_2026_03', 'readings_2026_03'],
])('is made good when it is terminated while %s waits for a writer', async (start, leaf) => {
  const database = await copy();
  const writer = database.connect();
  let isHeld = false;
  const proxy = await startProxy(database.url, {
    before: async ({ text, backendPid }) => {
      if (isHeld || !text.startsWith(start)) return;
      isHeld = true;
      await hold(writer, leaf);
      const { sql } = database;
      void until(() => waits(sql, backendPid)).then(() => sql`select pg_terminate_backend(${backendPid})`);
    },
  });
  await honestRun(proxy.url, start);
  await proxy.close();
  expect(isHeld).toBe(true);
  await writer`rollback`;
  expect(await repair(database)).toMatchObject({ exitCode: 0, error: null });
  expect(await drift(database)).toEqual([]);
  expect(await stateOf(database)).toMatchObject({ invalid: 0 });
  await database.drop();
});

async function waits(sql: Sql, pid: number): Promise<boolean> {
  const rows = await sql`select from pg_locks where pid = ${pid} and not granted`;
  return rows.length > 0;
}
