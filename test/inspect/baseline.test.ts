import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { compareWith, type KnownFinding } from '../../src/inspect/baseline.ts';
import type { Finding, Severity } from '../../src/inspect/check.ts';
import { runCli } from '../support/cli.ts';
import { createFolder, type Folder } from '../support/folder.ts';
import { halfDetach } from '../support/inspect.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const finding = (check: string, object: string, severity: Severity = 'warning'): Finding => ({
  check,
  object,
  severity,
  area: 'indexes',
  message: '',
  evidence: {},
  fixes: [],
});

describe('a baseline', () => {
  const compare = (
    before: readonly KnownFinding[],
    now: readonly Finding[],
    judged: readonly string[] = [],
  ) => {
    const { fresh, known, resolved } = compareWith({ findings: before, table: null }, now, {
      all: now,
      judged: new Set(judged),
    });
    const names = (list: readonly KnownFinding[]) => list.map(({ object }) => object);
    return { fresh: names(fresh), known: names(known), resolved: names(resolved) };
  };

  it('knows a finding again by its check and object', () => {
    const before = [finding('a', 'x'), finding('b', 'y')];
    expect(compare(before, [finding('a', 'x'), finding('a', 'y')])).toEqual({
      fresh: ['y'],
      known: ['x'],
      resolved: [],
    });
  });

  it.each([
    ['warning', 'critical', true],
    ['unknown', 'warning', true],
    ['info', 'unknown', true],
    ['critical', 'warning', false],
    ['warning', 'unknown', false],
  ] as const)('of a %s that is %s now: new is %s', (was, is, isNew) => {
    const { fresh } = compare([finding('a', 'x', was)], [finding('a', 'x', is)]);
    expect(fresh).toEqual(isNew ? ['x'] : []);
  });

  it('knows as many on one object as there were', () => {
    expect(compare([finding('a', 'x')], [finding('a', 'x'), finding('a', 'x')])).toMatchObject({
      fresh: ['x'],
      known: ['x'],
    });
    expect(compare([finding('a', 'x'), finding('a', 'x')], [finding('a', 'x')], ['a'])).toEqual({
      fresh: [],
      known: ['x'],
      resolved: ['x'],
    });
  });

  it.each([
    ['one of the same key', 'k', true],
    ['one that an older version wrote without a key', undefined, true],
    ['one of another key', 'j', false],
    ['one that has no key', null, false],
  ])('takes for a finding with a key %s: %s', (_what, key, isKnown) => {
    const { known } = compare([{ ...finding('a', 'x'), key }], [{ ...finding('a', 'x'), key: 'k' }]);
    expect(known).toEqual(isKnown ? ['x'] : []);
  });

  it('calls resolved only what was looked for', () => {
    const before = [finding('a', 'x'), finding('b', 'y')];
    expect(compare(before, [], ['a'])).toMatchObject({ resolved: ['x'] });
  });
});

describe('inspect --baseline', () => {
  let database: TestDatabase;
  let folder: Folder;

  beforeAll(async () => {
    folder = createFolder();
    database = await createDatabase();
    await database.sql.unsafe(`create table r (at timestamptz not null) partition by range (at);
      create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
      create table s (at timestamptz not null) partition by range (at);
      create table s_1 partition of s for values from ('2026-01-01') to ('2026-02-01')`);
    await halfDetach(database, 'r', 'r_1');
  });
  afterAll(async () => {
    folder.remove();
    await database.drop();
  });

  const run = async (words: readonly string[] = [], terminal?: number) =>
    await runCli(['inspect', '--only', 'detach_pending', ...words], {
      url: database.url,
      cwd: folder.path,
      ...(terminal === undefined ? {} : { terminal, env: { NO_COLOR: '1' } }),
    });

  it('fails for what is new alone, and lists what is resolved', async () => {
    folder.write('first.json', (await run(['--json'])).stdout);
    const same = await run(['--baseline', 'first.json', '--json']);
    expect([same.exitCode, same.json().data]).toEqual([
      0,
      expect.objectContaining({
        findings: [],
        passed: [],
        baseline: {
          known: [{ check: 'detach_pending', severity: 'critical', object: 'public.r_1', key: null }],
          resolved: [],
        },
      }),
    ]);
    // A baseline may be made of a run that had one itself.
    folder.write('second.json', same.stdout);
    await database.sql.unsafe('alter table r detach partition r_1 finalize');
    await halfDetach(database, 's', 's_1');
    for (const file of ['first.json', 'second.json']) {
      const { exitCode, json } = await run(['--baseline', file, '--json']);
      const { findings, baseline } = json().data;
      expect([exitCode, findings.map(({ object }: Finding) => object)]).toEqual([3, ['public.s_1']]);
      expect(baseline.resolved).toEqual([
        { check: 'detach_pending', severity: 'critical', object: 'public.r_1', key: null },
      ]);
    }
    const { stdout } = await run(['--baseline', 'first.json'], 100);
    expect(stdout).toContain('resolved  public.r_1  detach_pending\n');
    expect(stdout).toMatch(/\n1 critical, 0 checks passed, 1 resolved\.\n$/);
    expect((await run(['--baseline', 'first.json'])).stdout).toContain(
      'resolved\tdetach_pending\tpublic.r_1\tcritical\n',
    );
  });

  it('of all tables says nothing of what is resolved for one', async () => {
    const { json } = await run(['--baseline', 'first.json', '--table', 's', '--json']);
    expect(json().data.baseline.resolved).toEqual([]);
    expect(json().warnings).toEqual([expect.objectContaining({ code: 'baseline_of_other_scope' })]);
  });

  it.each([
    ['nothing', ''],
    ['text', 'runway'],
    ['null', 'null'],
    ['another command', '{"command":"partitions list","error":null,"data":{"findings":[]}}'],
    ['a run that failed', '{"command":"inspect","error":{"code":"x"},"data":{}}'],
    ['an explanation', '{"command":"inspect","error":null,"data":{"check":"runway"}}'],
    ['findings of another kind', '{"command":"inspect","error":null,"data":{"findings":[{"check":1}]}}'],
  ])('of %s is a usage error', async (_what, text) => {
    folder.write('bad.json', text);
    const { exitCode, json } = await run(['--baseline', 'bad.json', '--json']);
    expect([exitCode, json().error?.code]).toEqual([2, 'bad_baseline']);
  });

  it('that is not there is a usage error', async () => {
    expect(await run(['--baseline', 'nowhere.json'])).toMatchObject({ exitCode: 2 });
  });
});

describe('inspect --baseline, of several faults on one table', () => {
  let database: TestDatabase;
  let folder: Folder;
  beforeEach(async () => {
    folder = createFolder();
    database = await createDatabase();
  });
  afterEach(async () => {
    folder.remove();
    await database.drop();
  });

  const run = async (checks: string, words: readonly string[] = []) => {
    const all = ['inspect', '--only', checks, '--json', ...words];
    return (await runCli(all, { url: database.url, cwd: folder.path })).json();
  };
  const messages = ({ data }: { readonly data: { readonly findings: readonly Finding[] } }) =>
    data.findings.map(({ message }) => message);

  it('tells a second foreign key without an index from the first, also from what an older version wrote', async () => {
    await database.sql.unsafe(`create table d (a int primary key);
      create table t (one int references d, two int, three int);
      insert into d select generate_series(1, 10);
      insert into t select 1 + n % 10, 1 + n % 10, 1 + n % 10 from generate_series(1, 12000) n`);
    await database.sql.unsafe('analyze t');
    const first = await run('foreign_key_without_index');
    expect(messages(first)).toHaveLength(1);
    folder.write('first.json', JSON.stringify(first));
    folder.write(
      'old.json',
      JSON.stringify(first, (name, value) => (['key', 'irreversible'].includes(name) ? undefined : value)),
    );
    await database.sql.unsafe(
      'alter table t add foreign key (two) references d, add foreign key (three) references d',
    );
    const later = await run('foreign_key_without_index', ['--baseline', 'first.json']);
    expect(messages(later)).toEqual([
      expect.stringContaining('t_three_fkey'),
      expect.stringContaining('t_two_fkey'),
    ]);
    expect(messages(await run('foreign_key_without_index', ['--baseline', 'old.json']))).toHaveLength(2);
    folder.write('later.json', JSON.stringify(later));
    await database.sql.unsafe('create index on t (two)');
    const { data } = await run('foreign_key_without_index', ['--baseline', 'later.json']);
    expect([data.findings, data.baseline]).toEqual([
      [],
      {
        known: ['t_one_fkey', 't_three_fkey'].map((key) => expect.objectContaining({ key })),
        resolved: [expect.objectContaining({ key: 't_two_fkey' })],
      },
    ]);
  });

  it('tells lost requests of autosummarize from autosummarize that was off', async () => {
    folder.write('sensordb.yaml', 'inspect: { thresholds: { brin_unsummarized: { bytes: 100000 } } }');
    await database.sql.unsafe(`create extension pageinspect; create table t (n int) with (autovacuum_enabled = off);
      create index t_n on t using brin (n) with (pages_per_range = 4); insert into t select generate_series(1, 40000)`);
    await database.sql.unsafe('analyze t');
    const first = await run('brin_unsummarized');
    expect(messages(first)).toEqual([expect.stringContaining('autosummarize is off')]);
    folder.write('first.json', JSON.stringify(first));
    await database.sql.unsafe('insert into t select generate_series(1, 10000)');
    expect(messages(await run('brin_unsummarized', ['--baseline', 'first.json']))).toEqual([]);
    await database.sql.unsafe(
      "alter index t_n set (autosummarize = on); select brin_summarize_range('t_n', 150)",
    );
    const { data } = await run('brin_unsummarized', ['--baseline', 'first.json']);
    expect([data.findings, data.baseline.resolved]).toMatchObject([[{ key: 'lost' }], [{ key: 'off' }]]);
  });

  it('reports anew what has become critical', async () => {
    await database.sql.unsafe("create table t (id serial); select setval('t_id_seq', 1700000000)");
    folder.write('first.json', JSON.stringify(await run('sequence_exhaustion')));
    expect(messages(await run('sequence_exhaustion', ['--baseline', 'first.json']))).toEqual([]);
    await database.sql.unsafe("select setval('t_id_seq', 2100000000)");
    const { data } = await run('sequence_exhaustion', ['--baseline', 'first.json']);
    expect(data.findings).toMatchObject([{ severity: 'critical', object: 'public.t_id_seq' }]);
  });
});
