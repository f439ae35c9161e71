import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { interruption } from '../../src/cli/signals.ts';
import { type EmbeddedServer, startEmbedded } from '../../src/db/embedded.ts';
import { type CliResult, runCli } from '../support/cli.ts';
import { type Home, isRunning, makeHome, visit } from '../support/embedded.ts';

/** Settings that are right for another server, and would fail here. */
const ELSEWHERE = {
  PGSERVICE: 'nosuch',
  PGHOST: 'nowhere.invalid',
  PGOPTIONS: '-c no_such_setting=1',
  DATABASE_URL: 'postgresql://nowhere.invalid/',
};

let home: Home;
let walked: CliResult;
let ranOn: boolean;

beforeAll(async () => {
  home = await makeHome();
  walked = await runCli(['demo', '--json', '--embedded', home.directory], { env: ELSEWHERE });
  ranOn = await isRunning(home.directory);
}, 120_000);

afterAll(async () => {
  await home.remove();
});

test('walks to the end, whatever server the environment names', () => {
  expect([walked.exitCode, walked.stderr]).toEqual([0, expect.stringContaining('That was the walk.')]);
  expect(walked.stderr).not.toMatch(/^(error:|warning: (?!Not CONCURRENTLY))/m);
});

test('prints the envelope alone on stdout with --json', () => {
  const { command, ok, changed, data, error } = walked.json();
  expect({ command, ok, changed, error }).toEqual({ command: 'demo', ok: true, changed: true, error: null });
  expect(data).toMatchObject({ dataDirectory: home.directory, devices: expect.any(Number) });
  expect(data.rows).toBeGreaterThan(data.duplicates + data.late + data.brokenClock);
});

test('shows each command before it runs it', () => {
  const commands = walked.stderr
    .match(/(?<=^\$ sensordb ).*/gm)
    ?.map((line) => line.replace(/\d{4}-\d\d/, 'MONTH'));
  expect(commands).toEqual([
    'migrate up',
    'partitions ensure --from MONTH --months 3',
    'partitions list',
    'partitions ensure --months 4 --dry-run',
    'partitions ensure --months 4',
    'partitions ensure --months 4',
    'aggregates backfill --jobs 2',
    'partitions drain --quarantine sensors_sensorreading_quarantine',
    'aggregates refresh',
    'aggregates verify --sample 0.1 --seed 1',
    'aggregates status',
    'partitions detach --older-than 11mo',
    'partitions drop --older-than 11mo --keep-for 7d --yes',
    'partitions drop --older-than 11mo --yes',
    'partitions repair --check',
    'inspect',
    'migrate status --check',
  ]);
});

test('ends with a database in which nothing is found', () => {
  const inspected = /^\$ sensordb inspect\n([\s\S]*?)\n\n/m.exec(walked.stderr)?.[1]?.split('\n') ?? [];
  expect(inspected.length).toBeGreaterThan(25);
  // What is too young to judge by may be there, and nothing else.
  expect(inspected.filter((line) => !/^(passed|not_yet)\t/.test(line))).toEqual([]);
});

test('stops its server at the end', () => {
  expect(ranOn).toBe(false);
});

test('leaves readings that its printed export line leads to, those of the broken clock in quarantine', async () => {
  const server: EmbeddedServer = await startEmbedded({ directory: home.directory });
  onTestFinished(async () => expect(await server.stop()).toBe('stopped'));
  const line = /^export .*/m.exec(walked.stderr)?.[0];
  const script = `${line}\nprintf %s "$SENSORDB_DATABASE_URL"`;
  const url = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
  const { data } = (await runCli(['partitions', 'list', '--json'], { url })).json();
  expect(data).toMatchObject({ defaultRows: 0, defaultRowsExact: true });
  const sql = await visit(home.directory, 'sensordb_demo');
  const [counted] = await sql`
    select count(*)::int as rows, count(distinct device_id)::int as devices,
      count(*) filter (where "timestamp" < '1970-01-02' or "timestamp" >= '2098-01-01')::int as wrong,
      (select count(*)::int from sensors_sensorreading_quarantine) as quarantined
    from sensors_sensorreading`;
  await sql.end();
  const { rows, devices, brokenClock } = walked.json().data;
  expect(counted).toEqual({ rows: expect.any(Number), devices, wrong: 0, quarantined: brokenClock });
  // The oldest leaf was dropped on the way.
  expect(counted?.rows).toBeLessThan(rows - brokenClock);
  expect(counted?.rows).toBeGreaterThan(0);
  expect(brokenClock).toBeGreaterThan(0);
});

test('says that the server runs on when it is left with somebody connected', async () => {
  const controller = new AbortController();
  const running = runCli(['demo', '--embedded', home.directory], { signal: controller.signal });
  const visitor = await visit(home.directory);
  controller.abort(interruption('SIGINT'));
  const { exitCode, stderr } = await running;
  expect([exitCode, stderr]).toEqual([
    130,
    expect.stringMatching(/^warning: PostgreSQL in .* was left running/),
  ]);
  expect(await visitor`select 1 as one`).toEqual([{ one: 1 }]);
  await visitor.end();
});
