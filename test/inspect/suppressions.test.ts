import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/inspect/check.ts';
import { type Suppression, sift } from '../../src/inspect/suppressions.ts';
import { runCli } from '../support/cli.ts';
import { createFolder, type Folder } from '../support/folder.ts';
import { halfDetach } from '../support/inspect.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const finding = (check: string, object: string): Finding => ({
  check,
  object,
  area: 'indexes',
  severity: 'warning',
  message: '',
  evidence: {},
  fixes: [],
});

const entry = (object: string, more: Partial<Suppression> = {}): Suppression => ({
  check: 'index_unused',
  object,
  reason: 'year-end',
  until: '2026-03-10',
  place: 'known.yaml:1',
  ...more,
});

const siftAt = (now: string, findings: readonly Finding[], entries: readonly Suppression[]) =>
  sift(findings, entries, new Date(now), {
    judged: new Set(['index_unused']),
    areaOf: (name) => (name === 'index_unused' ? 'indexes' : null),
  });

describe('a suppression', () => {
  it.each([
    ['public.i', 'public.i', true],
    ['public.i', 'public.i2', false],
    ['public.*', 'public.i2', true],
    ['*', 'public."a\nb"', true],
    ['public.i?', 'public.i2', true],
    ['public.i?', 'public.i', false],
    ['public.i', 'publicxi', false],
    ['public."a(b)[c]"', 'public."a(b)[c]"', true],
  ])('of %j and the object %j match: %s', (glob, object, matches) => {
    const { findings, suppressed } = siftAt('2026-03-01', [finding('index_unused', object)], [entry(glob)]);
    expect([findings.length, suppressed.length]).toEqual(matches ? [0, 1] : [1, 0]);
  });

  it('is of one check alone', () => {
    const { findings } = siftAt('2026-03-01', [finding('index_bloat', 'public.i')], [entry('public.i')]);
    expect(findings).toHaveLength(1);
  });

  it('holds through its last day, in UTC', () => {
    const at = (now: string) => siftAt(now, [finding('index_unused', 'public.i')], [entry('public.i')]);
    expect(at('2026-03-10T23:59:59.999Z').findings).toEqual([]);
    const { findings, suppressed } = at('2026-03-11T00:00:00Z');
    expect(suppressed).toEqual([]);
    expect(findings).toEqual([
      expect.objectContaining({ check: 'index_unused' }),
      expect.objectContaining({ check: 'suppression_ended', severity: 'warning', object: 'public.i' }),
    ]);
    expect(findings[1]?.message).toContain('is reported again');
  });

  it('that has ended is told when it hides nothing any more, but not when its check was not run', () => {
    const { findings } = siftAt('2026-04-01', [], [entry('a'), entry('b', { check: 'index_bloat' })]);
    expect(findings.map(({ object, message }) => [object, message.includes('take it out')])).toEqual([
      ['a', true],
    ]);
  });

  it('that matches nothing is told, unless its check could not see all', () => {
    const entries = [entry('a'), entry('b', { check: 'index_bloat' })];
    expect(siftAt('2026-03-01', [], entries).unused.map(({ object }) => object)).toEqual(['a']);
  });
});

describe('inspect --suppress', () => {
  let database: TestDatabase;
  let folder: Folder;

  beforeAll(async () => {
    folder = createFolder();
    database = await createDatabase();
    await database.sql.unsafe(`create table r (at timestamptz not null) partition by range (at);
      create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01')`);
    await halfDetach(database, 'r', 'r_1');
  });
  afterAll(async () => {
    folder.remove();
    await database.drop();
  });

  const run = async (text: string, words: readonly string[] = [], terminal?: number) => {
    folder.write('known.yaml', text);
    return await runCli(['inspect', '--only', 'detach_pending', '--suppress', 'known.yaml', ...words], {
      url: database.url,
      cwd: folder.path,
      ...(terminal === undefined ? {} : { terminal, env: { NO_COLOR: '1' } }),
    });
  };

  const KNOWN = `- check: detach_pending
  object: public.r_*
  reason: the reader ends tonight
  until: 2999-12-31
`;

  it('lists apart what is known, and does not fail for it', async () => {
    const { exitCode, json } = await run(KNOWN, ['--json']);
    const { data, warnings } = json();
    expect([exitCode, data.findings, data.passed, warnings]).toEqual([0, [], [], []]);
    expect(data.suppressed).toEqual([
      expect.objectContaining({
        check: 'detach_pending',
        object: 'public.r_1',
        severity: 'critical',
        suppression: { reason: 'the reader ends tonight', until: '2999-12-31', place: 'known.yaml:1' },
      }),
    ]);
    expect((await run(KNOWN, [], 100)).stdout).toContain('0 checks passed, 1 suppressed.\n');
    expect((await run(KNOWN)).stdout).toBe(
      'suppressed\tdetach_pending\tpublic.r_1\tthe reader ends tonight\t2999-12-31\n',
    );
  });

  it('fails for what it does not name, and says what it names in vain', async () => {
    const { exitCode, json } = await run(KNOWN.replace('r_*', 's_*'), ['--json']);
    const { data, warnings } = json();
    expect([exitCode, data.findings.length]).toEqual([3, 1]);
    expect(warnings).toEqual([expect.objectContaining({ code: 'suppression_unused' })]);
  });

  it('fails for one that has ended', async () => {
    const { exitCode, json } = await run(KNOWN.replace('2999', '2020'), ['--json']);
    expect(exitCode).toBe(3);
    expect(
      json()
        .data.findings.map(({ check }: { check: string }) => check)
        .sort(),
    ).toEqual(['detach_pending', 'suppression_ended']);
  });

  it('wants an end to each', async () => {
    const { exitCode, json } = await run(KNOWN.replace(/ {2}until.*\n/, ''), ['--json']);
    expect([exitCode, json().warnings]).toEqual([
      0,
      [expect.objectContaining({ code: 'suppression_without_end' })],
    ]);
  });

  it.each([
    ['- object: a\n  reason: b\n', 1, 'It has no check.'],
    ['- check: detach_pending\n  object: a\n', 1, '[0]: It has no reason.'],
    ['- check: detach_pending\n  reason: a\n', 1, 'It has no object.'],
    [KNOWN.replace('check: detach_pending', 'check: detach'), 1, '"detach" is not a check.'],
    [KNOWN.replace('2999-12-31', '2999-02-31'), 4, '[0].until: "2999-02-31" is not a date.'],
    [KNOWN.replace('2999-12-31', 'tomorrow'), 4, '"tomorrow" is not a date.'],
    [KNOWN.replace('until', 'untill'), 4, '[0].untill: There is no such key.'],
    ['check: detach_pending\n', 1, 'It must be a list.'],
  ])('tells a mistake with its line: %j', async (text, line, message) => {
    const { exitCode, json } = await run(text, ['--json']);
    expect([exitCode, json().error?.object]).toEqual([2, `known.yaml:${line}`]);
    expect(json().error?.message).toContain(message);
  });

  it('reads the file that the config file names, from beside that', async () => {
    folder.write('sub/list.yaml', KNOWN);
    folder.write('sub/config.yaml', 'inspect:\n  suppress: list.yaml\n');
    const { exitCode, json } = await runCli(
      ['inspect', '--only', 'detach_pending', '--config', 'sub/config.yaml', '--json'],
      { url: database.url, cwd: folder.path },
    );
    expect([exitCode, json().data.suppressed[0]?.suppression.place]).toEqual([0, 'sub/list.yaml:1']);
  });
});
