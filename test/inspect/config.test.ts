import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { createFolder, type Folder } from '../support/folder.ts';
import { halfDetach } from '../support/inspect.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let folder: Folder;

beforeAll(async () => {
  database = await createDatabase();
  await database.sql.unsafe(`create table r (at timestamptz not null) partition by range (at);
    create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01')`);
  await halfDetach(database, 'r', 'r_1');
});
afterAll(() => database.drop());
beforeEach(() => {
  folder = createFolder();
});
afterEach(() => folder.remove());

const SUPPRESSES = `inspect:
  suppress: [{check: detach_pending, object: '*', reason: for the test, until: 2999-12-31}]
`;

const run = async (words: readonly string[] = [], env: Readonly<Record<string, string>> = {}) => {
  const result = await runCli(['inspect', 'partitions', '--json', ...words], {
    url: database.url,
    cwd: folder.path,
    env,
  });
  const { error, data } = result.json();
  const checks = (data.findings ?? []).map(({ check }: { check: string }) => check);
  return { exitCode: result.exitCode, error, found: checks.includes('detach_pending') };
};

describe('the config file', () => {
  it('is ./sensordb.yaml if it is there', async () => {
    expect(await run()).toMatchObject({ error: null, found: true });
    folder.write('sensordb.yaml', SUPPRESSES);
    expect(await run()).toMatchObject({ error: null, found: false });
  });

  it('is what SENSORDB_CONFIG names, before ./sensordb.yaml', async () => {
    folder.write('sensordb.yaml', 'nonsense');
    folder.write('other.yaml', SUPPRESSES);
    expect(await run([], { SENSORDB_CONFIG: 'other.yaml' })).toMatchObject({ error: null, found: false });
    expect(await run([], { SENSORDB_CONFIG: '' })).toMatchObject({ exitCode: 2 });
  });

  it('is what --config names, before SENSORDB_CONFIG', async () => {
    const path = folder.write('sub/one.yaml', SUPPRESSES);
    for (const file of ['sub/one.yaml', path]) {
      expect(await run(['--config', file], { SENSORDB_CONFIG: 'nowhere.yaml' })).toMatchObject({
        error: null,
        found: false,
      });
    }
  });

  it.each([
    [['--config', 'nowhere.yaml'], {}],
    [[], { SENSORDB_CONFIG: 'nowhere.yaml' }],
  ])('must be there when it was named: %j %j', async (words, env) => {
    const { exitCode, error } = await run(words, env as Record<string, string>);
    expect([exitCode, error?.code, error?.object]).toEqual([2, 'unreadable_file', 'nowhere.yaml']);
  });

  it.each(['', '# nothing\n', '---\n', 'inspect:\n', 'inspect: {}\n', 'inspect:\n  skip:\n'])(
    'may be as empty as %j',
    async (text) => {
      folder.write('sensordb.yaml', text);
      expect(await run()).toMatchObject({ error: null, found: true });
    },
  );

  it('skips no check that --only names', async () => {
    folder.write('sensordb.yaml', 'inspect:\n  skip: [detach_pending]\n');
    expect(await run(['--only', 'detach_pending'])).toMatchObject({ exitCode: 3, found: true });
  });

  it('fails from where fail_on says, unless --fail-on says otherwise', async () => {
    folder.write('sensordb.yaml', 'inspect:\n  fail_on: critical\n');
    expect(await run(['--only', 'detach_pending'])).toMatchObject({ exitCode: 3 });
    expect(await run(['--fail-on', 'sometimes'])).toMatchObject({ error: { code: 'bad_severity' } });
  });
});

describe('a mistake in the config file', () => {
  it.each([
    ['inspekt: {}', 1, 'inspekt: There is no such key.', 'Did you mean inspect?'],
    ['inspect:\n  skipp: []', 2, 'inspect.skipp: There is no such key.', 'Did you mean skip?'],
    [
      'inspect:\n  skip:\n    - detach_pendin',
      3,
      'inspect.skip[0]: "detach_pendin" is not a check.',
      'Did you mean detach_pending?',
    ],
    ['inspect:\n  skip: detach_pending', 2, 'inspect.skip: It must be a list.', null],
    [
      'inspect:\n  fail_on: often',
      2,
      'inspect.fail_on: "often" is not critical or warning.',
      'critical, warning',
    ],
    ['inspect:\n  fail_on: 3', 2, 'inspect.fail_on: It must be a text.', 'quotes'],
    ['inspect:\n  queries: [1]', 2, 'inspect.queries[0]: It must be a text.', 'quotes'],
    ['inspect: [1]', 1, 'inspect: It must be a mapping', null],
    ['- inspect', 1, 'It must be a mapping', null],
    [
      'inspect:\n  thresholds:\n    runaway: {}',
      3,
      'inspect.thresholds.runaway: There is no such key.',
      'There are:',
    ],
    [
      'inspect:\n  thresholds:\n    detach_pending: {days: 1}',
      3,
      'inspect.thresholds.detach_pending: This check has no thresholds.',
      null,
    ],
    ['inspect:\n  skip: []\n  skip: []', 3, 'Map keys must be unique', null],
    ['inspect:\n  skip: [', 3, '', null],
    ['inspect:\n  suppress:\n    - object: *', 3, '', null],
    [
      'inspect:\n  queries: &q [a]\n  skip: *q',
      3,
      'inspect.skip: An alias (*name) cannot be used here.',
      'quotes',
    ],
  ])('%j is told with its line, %i', async (text, line, message, hint) => {
    folder.write('sensordb.yaml', `${text}\n`);
    const { exitCode, error } = await run();
    expect([exitCode, error?.code, error?.object]).toEqual([2, 'bad_config', `sensordb.yaml:${line}`]);
    expect(error?.message).toContain(`sensordb.yaml:${line}: ${message}`);
    if (hint !== null) expect(error?.hint).toContain(hint);
  });

  it('needs no database to be told', async () => {
    folder.write('sensordb.yaml', 'nonsense: 1');
    expect(await runCli(['inspect'], { cwd: folder.path, url: 'postgresql://127.0.0.1:1/x' })).toMatchObject({
      exitCode: 2,
    });
  });
});
