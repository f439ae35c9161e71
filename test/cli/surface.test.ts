import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT_CODE_MEANINGS } from '../../src/cli/exit-codes.ts';
import { runCli, spawnCli } from '../support/cli.ts';
import { liveDatabase, NOW } from '../support/live.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await liveDatabase();
});
afterAll(() => database.drop());

const COMMANDS = [
  [],
  ['partitions'],
  ['partitions', 'list'],
  ['partitions', 'ensure'],
  ['partitions', 'detach'],
  ['partitions', 'attach'],
  ['partitions', 'drop'],
  ['partitions', 'drain'],
  ['partitions', 'repair'],
  ['aggregates'],
  ['aggregates', 'status'],
  ['aggregates', 'verify'],
  ['inspect'],
  ['migrate'],
  ['migrate', 'up'],
  ['migrate', 'status'],
  ['demo'],
  ['help'],
];

describe('help', () => {
  it('of every command is as it was', async () => {
    const texts = [];
    for (const words of COMMANDS) {
      const { exitCode, stdout, stderr } = await runCli([...words, '--help']);
      expect([exitCode, stderr]).toEqual([0, '']);
      texts.push(`$ sensordb ${[...words, '--help'].join(' ')}\n${stdout}`);
    }
    for (const topic of ['exit-codes', 'connection']) {
      texts.push(`$ sensordb help ${topic}\n${(await runCli(['help', topic])).stdout}`);
    }
    await expect(texts.join('\n')).toMatchFileSnapshot('help.txt');
  });

  it('comes by `help COMMAND` as by `COMMAND --help`', async () => {
    const [asTopic, asOption] = [
      await runCli(['help', 'partitions', 'ensure']),
      await runCli(['partitions', 'ensure', '--help']),
    ];
    expect(asTopic).toMatchObject({ exitCode: 0, stdout: asOption.stdout });
  });

  it('of the exit codes has each of them', async () => {
    const { stdout } = await runCli(['help', 'exit-codes']);
    for (const { code, meaning } of EXIT_CODE_MEANINGS) expect(stdout).toContain(`${code}  ${meaning}`);
  });

  it.each(['exit-kodes', 'constructor', 'toString', '__proto__'])(
    'of an unknown topic (%s) is a usage error that names the topics',
    async (topic) => {
      const { exitCode, stdout, stderr } = await runCli(['help', topic]);
      expect([exitCode, stdout]).toEqual([2, '']);
      expect(stderr).toContain('Topics: exit-codes, connection');
    },
  );
});

describe('a mistake in the arguments', () => {
  it.each([
    [['partitons', 'list'], '', "Unknown command 'partitons'.", 'Did you mean partitions?'],
    [['partitions', 'ensur'], 'partitions', "Unknown command 'ensur'.", 'Did you mean ensure?'],
    [
      ['partitions', 'ensure', '--month', '3'],
      'partitions ensure',
      "Unknown option '--month'.",
      'Did you mean --months?',
    ],
    [
      ['partitions', 'list', 'extra'],
      'partitions list',
      "Too many arguments for 'list'. Expected 0 arguments but got 1.",
      'See sensordb partitions list --help.',
    ],
    [
      ['migrate', 'up', '--schema'],
      'migrate up',
      "Option '--schema <name>' argument missing.",
      'See sensordb migrate up --help.',
    ],
    [
      ['partitions'],
      'partitions',
      'sensordb partitions needs a subcommand.',
      'Give one of: list, ensure, detach, attach, drop, drain, repair. See sensordb partitions --help.',
    ],
    [
      [],
      '',
      'No command was given.',
      'Give one of: partitions, aggregates, inspect, migrate, demo, help. See sensordb --help.',
    ],
  ])('%j exits 2 and says what to do', async (words, command, message, hint) => {
    const text = await runCli(words);
    expect(text).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: `error: ${message}\nhint: ${hint}\n`,
    });
    const { exitCode, stderr, json } = await runCli([...words.slice(0, 2), '--json', ...words.slice(2)]);
    expect([exitCode, stderr]).toEqual([2, '']);
    if (words.at(-1) !== '--schema') {
      expect(json()).toMatchObject({ ok: false, command, changed: false, error: { message, hint } });
    }
  });

  it.each([
    [['--lock-timeout', '0ms'], 'bad_duration'],
    [['--wait', 'long'], 'bad_duration'],
    [['--months', '-1'], 'bad_number'],
  ])('such as %j exits 2 before anything is connected', async (words, code) => {
    const url = 'postgresql://u@127.0.0.1:1/d';
    const months = words[0] === '--months' ? [] : ['--months', '1'];
    const { exitCode, json } = await runCli(['partitions', 'ensure', '--json', ...months, ...words], { url });
    expect([exitCode, json().error?.code]).toEqual([2, code]);
  });
});

describe('options', () => {
  const permutations = <T>(items: readonly T[]): T[][] =>
    items.length === 0
      ? [[]]
      : items.flatMap((item, at) => permutations(items.toSpliced(at, 1)).map((rest) => [item, ...rest]));

  it('are taken before, between and after the words of the command', async () => {
    const units = [['--table', 'sensors_sensorreading'], ['--json'], ['-q']];
    const words = [['partitions'], ['list']];
    const inOrder = (order: string[][]) =>
      order.indexOf(words[0] as string[]) < order.indexOf(words[1] as string[]);
    const orders = permutations([...units, ...words]).filter(inOrder);
    expect(orders).toHaveLength(60);
    for (const order of orders) {
      const { exitCode, json } = await runCli(order.flat(), { url: database.url, now: NOW });
      expect([exitCode, json().command], order.flat().join(' ')).toEqual([0, 'partitions list']);
    }
  });

  it('with their value behind = are taken, too', async () => {
    const { exitCode } = await runCli([
      `--url=${database.url}`,
      'partitions',
      '--table=sensors_sensorreading',
      'list',
    ]);
    expect(exitCode).toBe(0);
  });
});

describe('output', () => {
  const words = ['partitions', 'list'];
  const run = (env: Record<string, string>, more: readonly string[] = [], terminal?: number) =>
    runCli([...words, ...more], {
      url: database.url,
      now: NOW,
      env,
      ...(terminal === undefined ? {} : { terminal }),
    });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how colours begin.
  const COLOR = /\u001b\[\d/;

  it.each([
    ['a terminal', {}, [], 100, true],
    ['a pipe', {}, [], undefined, false],
    ['a terminal with NO_COLOR', { NO_COLOR: '1' }, [], 100, false],
    ['a terminal with an empty NO_COLOR', { NO_COLOR: '' }, [], 100, true],
    ['a terminal with TERM=dumb', { TERM: 'dumb' }, [], 100, false],
    ['a terminal with --no-color', {}, ['--no-color'], 100, false],
    ['a pipe with FORCE_COLOR', { FORCE_COLOR: '1' }, [], undefined, true],
    ['a terminal with FORCE_COLOR=0', { FORCE_COLOR: '0' }, [], 100, false],
    ['a pipe with FORCE_COLOR and --no-color', { FORCE_COLOR: '1' }, ['--no-color'], undefined, false],
  ])('on %s has colours: %s %s %s %s', async (_what, env, more, terminal, colored) => {
    const failing = await runCli(['partitions', 'nonsense', ...more], {
      env,
      ...(terminal === undefined ? {} : { terminal }),
    });
    expect(COLOR.test(failing.stderr)).toBe(colored);
    const { stdout } = await run(env, more, terminal);
    if (!colored) expect(stdout).not.toMatch(COLOR);
  });

  it('as JSON has no colours whatever is asked', async () => {
    const { stdout } = await run({ FORCE_COLOR: '1' }, ['--json'], 100);
    expect(stdout).not.toMatch(COLOR);
    expect(stdout.split('\n')).toHaveLength(2);
  });

  it('with --quiet is nothing on success, and the error on failure', async () => {
    expect(await run({}, ['--quiet'])).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    const failing = await run({}, ['--quiet', '--table', 'nowhere']);
    expect([failing.exitCode, failing.stdout]).toEqual([2, '']);
    expect(failing.stderr).toContain('There is no table nowhere');
  });
});

describe('the executable', () => {
  it.each(['--version', '-V'])('prints the version with %s', async (option) => {
    expect((await spawnCli([option]).ended).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await runCli([option])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each(['18.20.1', '20.18.0'])('says on Node.js %s which one it needs', async (node) => {
    const versions = `{ value: { ...process.versions, node: ${JSON.stringify(node)} } }`;
    const module = `data:text/javascript,Object.defineProperty(process, "versions", ${versions})`;
    const run = spawnCli(['--help'], {
      env: { NODE_OPTIONS: `--import="${module.replaceAll('"', '\\"')}"` },
    });
    expect(await run.ended).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: `error: sensordb needs Node.js 20.19 or newer; this is ${node}.\n`,
    });
  });
});
