import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKS } from '../../src/inspect/checks.ts';
import { reportData } from '../../src/inspect/report.ts';
import { runCli } from '../support/cli.ts';
import { createFolder, type Folder } from '../support/folder.ts';
import { halfDetach } from '../support/inspect.ts';
import { schemaErrors } from '../support/inspect-schema.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let folder: Folder;

beforeAll(async () => {
  folder = createFolder();
  database = await createDatabase();
  await database.sql.unsafe(`create table r (at timestamptz not null) partition by range (at);
    create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
    create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01')`);
  await halfDetach(database, 'r', 'r_1');
});
afterAll(async () => {
  folder.remove();
  await database.drop();
});

async function printed(words: readonly string[], url = database.url) {
  const { stdout } = await runCli(['inspect', '--json', ...words], { url, cwd: folder.path });
  return JSON.parse(stdout);
}

describe('the schema of inspect --json', () => {
  it('holds for findings, of all tables and of one', async () => {
    for (const words of [[], ['--table', 'r']]) {
      const output = await printed(words);
      expect(output.data.findings).not.toEqual([]);
      expect(schemaErrors(output)).toEqual([]);
    }
  });

  it('holds for what is suppressed, for a baseline, and for warnings', async () => {
    folder.write('known.yaml', "- {check: detach_pending, object: '*', reason: known}\n");
    const suppressed = await printed(['--suppress', 'known.yaml']);
    expect([suppressed.data.suppressed.length, suppressed.warnings.length]).toEqual([1, 1]);
    expect(schemaErrors(suppressed)).toEqual([]);
    folder.write('before.json', JSON.stringify(await printed([])));
    const compared = await printed(['--baseline', 'before.json']);
    expect(compared.data.baseline.known).not.toEqual([]);
    expect(schemaErrors(compared)).toEqual([]);
  });

  it('holds for what is not ripe yet', () => {
    const data = reportData({
      database: 'metrics',
      versionNum: 140_000,
      table: null,
      now: new Date('2026-03-10T12:00:00.123Z'),
      findings: [],
      suppressed: [],
      baseline: null,
      passed: ['runway'],
      notYet: [
        { check: 'index_unused', ripeAt: new Date('2026-04-10T12:00:00Z') },
        { check: 'index_bloat', ripeAt: null },
      ],
      failOn: 'warning',
    });
    const envelope = {
      schemaVersion: 1,
      command: 'inspect',
      ok: true,
      changed: false,
      warnings: [],
      error: null,
    };
    expect(schemaErrors({ ...envelope, data })).toEqual([]);
  });

  it('holds for failures', async () => {
    for (const output of [
      await printed(['--only', 'nonsense']),
      await printed(['--table', 'nowhere']),
      await printed([], 'postgresql://127.0.0.1:1/nowhere'),
    ]) {
      expect(output.error).not.toBeNull();
      expect(schemaErrors(output)).toEqual([]);
    }
  });

  it('holds for the explanation of each check', async () => {
    for (const { name } of CHECKS) {
      expect([name, schemaErrors(await printed(['--explain', name]))]).toEqual([name, []]);
    }
  });

  it('does not hold for anything else', async () => {
    const good = await printed([]);
    const { findings } = good.data;
    for (const bad of [
      { ...good, schemaVersion: 2 },
      { ...good, changed: true },
      { ...good, more: 1 },
      { ...good, data: {} },
      { ...good, data: { ...good.data, more: 1 } },
      { ...good, data: { ...good.data, at: '10.3.2026' } },
      { ...good, data: { ...good.data, findings: [{ ...findings[0], severity: 'bad' }] } },
      { ...good, data: { ...good.data, findings: [{ ...findings[0], more: 1 }] } },
      { ...good, data: { ...good.data, findings: [{ ...findings[0], evidence: { a: { b: 1 } } }] } },
      { ...good, ok: false, error: { code: 'x', message: 'y', hint: null, sqlstate: null, object: null } },
    ]) {
      expect(schemaErrors(bad)).not.toEqual([]);
    }
  });
});

describe('inspect --print-schema', () => {
  it('prints the file as it is shipped, without a database', async () => {
    const file = readFileSync(new URL('../../schemas/inspect.schema.json', import.meta.url), 'utf8');
    for (const words of [[], ['--quiet']]) {
      expect(await runCli(['inspect', '--print-schema', ...words])).toMatchObject({
        exitCode: 0,
        stdout: file,
      });
    }
    expect(schemaErrors(await printed(['--print-schema'], 'postgresql://127.0.0.1:1/nowhere'))).toEqual([]);
  });
});
