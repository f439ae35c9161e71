import { spawn } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/inspect/check.ts';
import { commandFix, type Fix, irreversibleFix, shellWord, sqlFix } from '../../src/inspect/fix.ts';
import { renderFixScript } from '../../src/inspect/fix-script.ts';
import { aggregatedDatabase, verify } from '../support/aggregates.ts';
import { EXECUTABLE, runCli } from '../support/cli.ts';
import { createFolder, type Folder } from '../support/folder.ts';
import { halfDetach } from '../support/inspect.ts';
import { runMigrations } from '../support/migrations.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let folder: Folder;
beforeAll(async () => {
  folder = createFolder();
  symlinkSync(EXECUTABLE, join(folder.path, 'sensordb'));
  database = await createDatabase({ odd: true });
  await runMigrations(database.sql, 'public');
});
afterAll(async () => {
  folder.remove();
  await database.drop();
});

/** Runs a script as its reader would, with an environment that leads elsewhere. */
async function psql(script: string, url = database.url, words: readonly string[] = []) {
  const child = spawn('/usr/bin/psql', ['-X', ...words, '-f', folder.write('fix.sql', script), url], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: `${folder.path}:${process.env.PATH}`,
      PGSERVICE: 'elsewhere',
      PGSERVICEFILE: folder.write('services', '[elsewhere]\nhost=127.0.0.1\nport=1\ndbname=elsewhere\n'),
      SENSORDB_DATABASE_URL: 'postgresql://127.0.0.1:1/elsewhere',
      DATABASE_URL: 'postgresql://127.0.0.1:1/elsewhere',
      // Of a server that wants one: it is in the URL, which only psql is given.
      PGPASSWORD: decodeURIComponent(/^\w+:\/\/[^@/]*:([^@/]*)@/.exec(url)?.[1] ?? ''),
    },
  });
  const exitCode = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [stderr, stdout] = await Promise.all([text(child.stderr), text(child.stdout)]);
  return { exitCode: await exitCode, stderr, stdout };
}

const finding = (check: string, object: string, fixes: readonly Fix[]): Finding => ({
  check,
  area: 'partitions',
  severity: 'warning',
  object,
  message: `${object} is not well.`,
  evidence: {},
  fixes,
});

const scriptOf = (findings: readonly Finding[], name = database.name) =>
  renderFixScript({
    database: name,
    versionNum: 180_000,
    table: null,
    now: new Date('2026-03-10T12:00:00Z'),
    findings,
    suppressed: [],
    baseline: null,
    passed: [],
    notYet: [],
    failOn: 'warning',
  });

const ENSURE = commandFix('partition', 'sensordb partitions ensure --until 2030-01-01 --from 2029-12-01');
const leaves = async () =>
  (await database.sql`select relname from pg_class where relname ~ '_2029_12$'`).map(
    ({ relname }) => relname,
  );

describe('a script of fixes', () => {
  it('runs statements outside of transactions and commands on the same database, in their order', async () => {
    const odd = '"a\n\\! touch fooled\n""b"';
    await database.sql.unsafe(`create table ${odd} (a int, b int)`);
    const findings = [
      finding('statistics', `public.${odd}`, [
        sqlFix('analyze', `analyze public.${odd}`),
        sqlFix('create_index', `create index concurrently odd_a on public.${odd} (a)`),
        sqlFix('drop_index', 'drop index concurrently if exists public.no_such'),
      ]),
      finding('runway', 'public.sensors_sensorreading', [ENSURE]),
      finding('gaps', 'public.sensors_sensorreading', [ENSURE]),
      finding('long_transactions', 'pid 1', []),
    ];
    expect(scriptOf(findings, 'metrics')).toMatchInlineSnapshot(`
      "-- sensordb inspect on metrics, 2026-03-10T12:00:00Z: 4 fixes.
      -- Read it, then: psql -f FILE. It stops at the first error; what was done by then stands.
      -- Not mended by it, or not wholly; inspect again afterwards:
      --   warning: long_transactions on pid 1: pid 1 is not well.
      \\set ON_ERROR_STOP on
      \\set AUTOCOMMIT on
      set search_path to pg_catalog, pg_temp;
      do 'begin if current_database() <> ''metrics'' then raise exception using message = ''This script is for the database metrics.''; end if; end';
      -- For the commands of sensordb; a password must stand in PGPASSWORD or .pgpass.
      \\setenv PGHOST :HOST
      \\setenv PGPORT :PORT
      \\setenv PGUSER :USER
      \\setenv PGDATABASE :DBNAME
      \\setenv PGSERVICE
      \\setenv SENSORDB_DATABASE_URL
      \\setenv DATABASE_URL

      -- runway on public.sensors_sensorreading
      -- gaps on public.sensors_sensorreading
      \\set sensordb_failed \`sensordb partitions ensure --until 2030-01-01 --from 2029-12-01 </dev/null >&2 && echo 0 || echo 1\`
      \\if :sensordb_failed
      do 'begin raise exception ''The command failed: what follows it was not done.''; end';
      \\endif

      -- statistics on public."a\\u000a\\! touch fooled\\u000a""b"
      set lock_timeout to 0;
      create index concurrently odd_a on public."a
      \\! touch fooled
      ""b" (a);

      -- statistics on public."a\\u000a\\! touch fooled\\u000a""b"
      drop index concurrently if exists public.no_such;

      -- statistics on public."a\\u000a\\! touch fooled\\u000a""b"
      analyze public."a
      \\! touch fooled
      ""b";
      "
    `);
    const { exitCode, stderr, stdout } = await psql(scriptOf(findings));
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('CREATE INDEX')]);
    expect(stderr).toContain('sensors_sensorreading_2029_12');
    expect(await leaves()).toEqual(['sensors_sensorreading_2029_12']);
    const [row] = await database.sql`select indisvalid from pg_index where indexrelid = 'odd_a'::regclass`;
    expect(row?.indisvalid).toBe(true);
  });

  it('leaves a command to its reader in which psql would put a variable', async () => {
    const text = `sensordb partitions ensure --months 0 --table ${shellWord('"a:USER"')}`;
    const script = scriptOf([finding('runway', 'public."a:USER"', [commandFix('partition', text)])]);
    expect(script).toContain(`-- ${text}\n`);
    expect(await psql(script)).toMatchObject({ exitCode: 0, stderr: '' });
  });

  it('stops where a command fails', async () => {
    const script = scriptOf([
      finding('runway', 'public.x', [
        commandFix('partition', 'sensordb partitions ensure --months 0 --table no_such'),
      ]),
      finding('after', 'public.x', [sqlFix('analyze', 'create table public.after_it ()')]),
    ]);
    const { exitCode, stderr } = await psql(script);
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining('There is no table no_such')]);
    expect(stderr).toContain('The command failed');
    expect((await database.sql`select to_regclass('public.after_it') as t`)[0]?.t).toBeNull();
  });

  it('does nothing in another database', async () => {
    const script = scriptOf(
      [finding('a', 'b', [sqlFix('analyze', 'create table public.fooled ()')])],
      "o'ther",
    );
    const { exitCode, stderr } = await psql(script);
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining("is for the database o'ther")]);
    expect((await database.sql`select to_regclass('public.fooled') as t`)[0]?.t).toBeNull();
  });

  it('leaves to its reader what psql cannot run, and says so', async () => {
    const script = scriptOf([
      finding('a', 'public.`', [
        commandFix(
          'partition',
          `sensordb partitions ensure --table ${shellWord('public."`touch fooled`\n\\! exit"')}`,
        ),
      ]),
    ]);
    expect(script).toContain('-- To be run by hand');
    expect(await psql(script)).toMatchObject({ exitCode: 0, stderr: '' });
  });

  it('tells what it leaves as it stands, whatever psql makes of such text', async () => {
    const odd = ["select ':HOST `touch fooled` \\ it''s'", "select 'a\n\\! touch fooled\n'"];
    const script = scriptOf([
      finding(
        'a',
        'b',
        odd.map((text) => irreversibleFix('session', text)),
      ),
      finding('c', 'd', [sqlFix('repair', "select current_setting('lock_timeout')")]),
    ]);
    const left = await psql(script);
    expect(left).toMatchObject({ exitCode: 0, stderr: '' });
    expect(left.stdout).toContain(`FILE: ${odd[0]} /* cannot be undone */\n`);
    expect(left.stdout).toContain("FILE: select 'a\\u000a\\! touch fooled\\u000a' /*");
    expect(left.stdout).toContain('2s');
    const run = await psql(script, database.url, ['-v', 'irreversible=yes']);
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).not.toContain('Left');
  });

  it('runs a command that needs consent with it alone', async () => {
    const text = 'sensordb partitions ensure --until 2031-02-01 --from 2031-01-01';
    const script = scriptOf([
      finding('rows', 'public.x', [{ ...commandFix('partition', text), isIrreversible: true }]),
    ]);
    const made = async () => (await database.sql`select from pg_class where relname ~ '_2031_01$'`).length;
    expect(await psql(script)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(text) });
    expect(await made()).toBe(0);
    expect(await psql(script, database.url, ['-v', 'irreversible=yes'])).toMatchObject({ exitCode: 0 });
    expect(await made()).toBe(1);
  });

  it('of nothing runs nothing', async () => {
    const script = scriptOf([finding('long_transactions', 'pid\n1', [])]);
    expect(script.split('\n').every((line) => line === '' || line.startsWith('--'))).toBe(true);
    expect(script).toContain(
      '-- Not mended by it, or not wholly; inspect again afterwards:\n--   warning: long_transactions on pid\\u000a1',
    );
  });
});

describe('inspect --fix-script', () => {
  const CHECKS = [
    'detach_pending',
    'prepared_transactions',
    'foreign_key_without_index',
    'aggregates_trigger',
    'aggregates_unverified',
  ];
  let faulty: TestDatabase;
  beforeAll(async () => {
    faulty = await aggregatedDatabase();
    folder.write(
      'now.yaml',
      `inspect:
  thresholds:
    prepared_transactions: { warning_minutes: 0 }
`,
    );
    await faulty.sql`update sensors_sensoraggregate set value_max = 4711
      where device_id = 1 and hour = '2026-03-02 10:00+00'`;
    expect((await verify(faulty)).exitCode).toBe(3);
    await faulty.sql.unsafe(`
      create table "Odd ""one"" \`x" (id bigint, at timestamptz not null) partition by range (at);
      create table odd_1 partition of "Odd ""one"" \`x" for values from ('2026-01-01') to ('2026-02-01');
      create table site (id bigint primary key);
      create table meter (id bigint primary key, site_id bigint references site);
      insert into site select generate_series(1, 12000);
      insert into meter select n, n from generate_series(1, 12000) n;
      analyze site, meter;
      alter table sensors_sensorreading_2026_03 disable trigger sensordb_change_insert;
      drop trigger sensordb_change_delete on sensors_sensorreading`);
    await halfDetach(faulty, '"Odd ""one"" `x"', 'odd_1');
    await faulty.connect().unsafe(`begin; insert into site values (0); prepare transaction 'it''s \\ left'`);
  });
  afterAll(async () => {
    // One that a failed test left would keep the database from being dropped.
    for (const {
      gid,
    } of await faulty.sql`select gid from pg_prepared_xacts where database = current_database()`) {
      await faulty.sql.unsafe(`rollback prepared '${gid.replaceAll("'", "''")}'`);
    }
    await faulty.drop();
  });

  const run = (words: readonly string[]) =>
    runCli(['inspect', '--only', CHECKS.join(), '--config', join(folder.path, 'now.yaml'), ...words], {
      url: faulty.url,
    });
  const checksFound = async () => {
    const { data } = (await run(['--json'])).json();
    return [...new Set<string>(data.findings.map(({ check }: { check: string }) => check))].sort();
  };

  it('prints what leaves a database with several faults clean', async () => {
    expect(await checksFound()).toEqual([...CHECKS].sort());
    const script = await run(['--fix-script']);
    expect(script).toMatchObject({ exitCode: 3, stderr: '' });
    const { exitCode, stderr, stdout } = await psql(script.stdout, faulty.url);
    expect([exitCode, stderr]).toEqual([0, expect.not.stringMatching(/error/i)]);
    // Whether to roll it back nobody knows who only runs the script.
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
      `Left, to be run by psql -v irreversible=yes -f FILE: rollback prepared E'it''s \\\\ left'`,
    );
    expect(script.stdout).toContain(
      '-- 1 of them cannot be undone. To run that, too: psql -v irreversible=yes -f FILE',
    );
    expect(await checksFound()).toEqual(['prepared_transactions']);
    const rest = await run(['--fix-script']);
    expect(await psql(rest.stdout, faulty.url, ['-v', 'irreversible=no'])).toMatchObject({ exitCode: 0 });
    expect(await checksFound()).toEqual(['prepared_transactions']);
    expect(await psql(rest.stdout, faulty.url, ['-v', 'irreversible=yes'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('ROLLBACK PREPARED'),
    });
    expect(await checksFound()).toEqual([]);
    const nothing = await run(['--fix-script', '--quiet']);
    expect([nothing.exitCode, nothing.stdout]).toEqual([0, expect.stringContaining('nothing to run')]);
  });

  it('leaves out what would only let the role see more', async () => {
    const role = await createRole(faulty);
    const other = faulty.connect();
    await other.unsafe('begin; select from site');
    const { stdout } = await runCli(['inspect', '--only', 'long_transactions', '--fix-script'], {
      url: role.url,
    });
    expect(stdout).toContain('--   unknown: long_transactions on ');
    expect(stdout).not.toMatch(/^grant/m);
    await other.unsafe('rollback');
    await dropRoles(faulty.sql, [role]);
  });

  it('contradicts --json and --format', async () => {
    for (const words of [['--json'], ['--format', 'nagios']]) {
      expect(
        (await run(['--fix-script', ...words])).stderr + (await run(['--fix-script', ...words])).stdout,
      ).toContain('contradict each other');
    }
  });
});

describe('inspect --fix-script, of indexes', () => {
  const DAY_MS = 86_400_000;
  const CONFIG = `inspect:
  thresholds:
    index_unused: { bytes: 0, warning_bytes: 0 }
`;
  let indexed: TestDatabase;
  beforeEach(async () => {
    indexed = await createDatabase();
    folder.write('sizes.yaml', CONFIG);
  });
  afterEach(() => indexed.drop());

  /** What is left of the indexes once the script that inspect prints was run. */
  const mended = async (checks = 'index_duplicate,index_unused') => {
    const words = ['inspect', '--only', checks, '--config', join(folder.path, 'sizes.yaml'), '--fix-script'];
    const { stdout } = await runCli(words, { url: indexed.url, now: new Date(Date.now() + 31 * DAY_MS) });
    expect(await psql(stdout, indexed.url)).toMatchObject({ exitCode: 0 });
    const rows = await indexed.sql`select c.relname from pg_index x join pg_class c on c.oid = x.indexrelid
      join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' order by c.relname`;
    return rows.map(({ relname }) => relname);
  };

  const scan = async (index: string, query: string) => {
    const client = indexed.connect();
    await client.unsafe('set enable_seqscan = off');
    await client.unsafe(query);
    await client.end();
    await until(async () => {
      const [row] = await indexed.sql`select pg_stat_get_numscans(${index}::regclass) > 0 as scanned`;
      return row?.scanned === true;
    });
  };

  it('keeps one of three alike that nobody scans, and drops another that nobody scans', async () => {
    await indexed.sql.unsafe(`create table t (a int, b int); insert into t values (1, 1);
      create index x on t (a); create index y on t (a); create index z on t (a); create index other on t (b)`);
    expect(await mended()).toEqual(['x']);
  });

  it('keeps the one of two alike that is scanned, though it is the younger', async () => {
    await indexed.sql.unsafe(`create table t (a int); insert into t select generate_series(1, 1000);
      create index old on t (a) with (fillfactor = 10); create index young on t (a); analyze t`);
    await scan('young', 'select from t where a < 900');
    expect(await mended()).toEqual(['young']);
  });

  it('keeps the index of the table although only that which a partition has besides is scanned', async () => {
    await indexed.sql.unsafe(`create table r (a int, at timestamptz) partition by range (at);
      create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
      insert into r values (1, '2026-01-02'); create index by_hand on r_1 (a)`);
    await scan('by_hand', 'select from r_1 where a = 1');
    await indexed.sql.unsafe('create index of_table on only r (a); create index of_leaf on r_1 (a)');
    await indexed.sql.unsafe('alter index of_table attach partition of_leaf');
    expect(await mended()).toEqual(['of_leaf', 'of_table']);
  });

  it('keeps the wide one of two that nobody scans', async () => {
    await indexed.sql.unsafe(`create table t (a int, b int); insert into t values (1, 1);
      create index narrow on t (a); create index wide on t (a, b)`);
    expect(await mended()).toEqual(['wide']);
  });

  it('keeps a narrow one that is scanned, and drops the wide one that is not', async () => {
    await indexed.sql.unsafe(`create table t (a int, b int); insert into t values (1, 1);
      create index narrow on t (a)`);
    await scan('narrow', 'select from t where a = 1');
    await indexed.sql.unsafe('create index wide on t (a, b)');
    expect(await mended()).toEqual(['narrow']);
  });

  const TWINS = `create table d (a int primary key); insert into d select generate_series(1, 20);
      create table r (id bigint, a int references d, at timestamptz not null)`;
  const MONTHS = `${TWINS} partition by range (at);
      create table r_2026_01 partition of r for values from ('2026-01-01') to ('2026-02-01');
      create table r_2026_02 partition of r for values from ('2026-02-01') to ('2026-03-01');`;
  const FILLED = `insert into r select n, 1 + n % 20, timestamptz '2026-01-02' + interval '2 days' * (n % 20) from generate_series(1, 20000) n;
      analyze`;

  it('drops neither of two alike on a partition whose table it gives such an index, and the younger the next time', async () => {
    await indexed.sql.unsafe(`${TWINS} partition by hash (id);
      create table r_1 partition of r for values with (modulus 2, remainder 0);
      create table r_2 partition of r for values with (modulus 2, remainder 1);
      create index z_older on r_1 (a); create index a_younger on r_1 (a); ${FILLED}`);
    const checks = 'foreign_key_without_index,index_duplicate';
    expect(await mended(checks)).toEqual(['a_younger', 'd_pkey', 'r_2_a_idx', 'r_a_idx', 'z_older']);
    expect(await mended(checks)).toEqual(['d_pkey', 'r_2_a_idx', 'r_a_idx', 'z_older']);
  });

  it('leaves to repair which of two alike is attached, and drops the younger the next time', async () => {
    await indexed.sql.unsafe(`${MONTHS}
      create index z_older on r_2026_01 (a); create index a_younger on r_2026_01 (a);
      create index of_table on only r (a); ${FILLED}`);
    const checks = 'index_missing_on_leaf,index_duplicate';
    expect(await mended(checks)).toEqual(['a_younger', 'd_pkey', 'of_table', 'r_2026_02_a_idx', 'z_older']);
    expect(await mended(checks)).toEqual(['d_pkey', 'of_table', 'r_2026_02_a_idx', 'z_older']);
  });

  it('does nothing to the indexes of a table that it attaches', async () => {
    await indexed.sql.unsafe(`${MONTHS}
      ${FILLED};
      create index z_older on r_2026_01 (id); create index a_younger on r_2026_01 (id);
      alter table r detach partition r_2026_01;
      create index of_table on r (id); create index of_key on r (a)`);
    const checks = 'orphaned_leaf,foreign_key_without_index,index_duplicate';
    const kept = ['d_pkey', 'of_key', 'of_table', 'r_2026_01_a_idx', 'r_2026_02_a_idx', 'r_2026_02_id_idx'];
    expect(await mended(checks)).toEqual([...kept, 'a_younger', 'z_older'].sort());
    expect(await indexed.sql`select from pg_inherits where inhparent = 'r'::regclass`).toHaveLength(2);
    const then = await mended(checks);
    expect(then.filter((name) => !kept.includes(name))).toHaveLength(1);
  });
});
