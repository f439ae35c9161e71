import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EXECUTABLE } from '../support/cli.ts';
import { liveDatabase } from '../support/live.ts';
import type { TestDatabase } from '../support/server.ts';

// The bundle on a real terminal, which script(1) makes: tables and the spinner are loaded there alone.

let database: TestDatabase;
beforeAll(async () => {
  database = await liveDatabase();
});
afterAll(() => database.drop());

function onTerminal(
  words: string,
  env: Readonly<Record<string, string>> = {},
  columns = 120,
  typed = '',
): string {
  const command = `stty cols ${columns}; ${process.execPath} ${EXECUTABLE} ${words}`;
  try {
    return execFileSync('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      encoding: 'utf8',
      input: typed,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        PATH: process.env.PATH,
        LANG: 'C.UTF-8',
        TERM: 'xterm',
        SENSORDB_DATABASE_URL: database.url,
        ...env,
      },
    });
  } catch (thrown) {
    // Without it a failure does not tell what stood on the screen.
    const failed = thrown as Error & { readonly stdout?: string };
    failed.message += `\n${failed.stdout ?? ''}`;
    throw failed;
  }
}

it('draws tables, pictures and the spinner', () => {
  expect(onTerminal('partitions ensure --months 1')).toMatch(/created/);
  expect(onTerminal('partitions list')).toMatch(/sensors_sensorreading_2026_03.*[▏█].*attached/);
  expect(onTerminal('partitions list')).toContain('\u001b[');
});

it('draws without colour where none is wanted', () => {
  for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
    expect(onTerminal('partitions list', env)).not.toContain('\u001b[');
  }
});

it('ends on a terminal that does not know its size', () => {
  expect(onTerminal('partitions ensure --months 2', {}, 0)).toMatch(/created/);
});

describe('the question before leaves are dropped', () => {
  const DROP = 'partitions drop sensors_sensorreading_2025_01';
  beforeEach(async () => {
    await database.sql.unsafe(`drop table if exists sensors_sensorreading_2025_01;
      create table sensors_sensorreading_2025_01 partition of sensors_sensorreading
        for values from ('2025-01-01') to ('2025-02-01')`);
  });
  const isThere = async () =>
    (await database.sql`select to_regclass('sensors_sensorreading_2025_01') is not null as there`)[0]?.there;

  it('goes on at y', async () => {
    expect(onTerminal(DROP, {}, 120, 'y\n')).toMatch(
      /Drop this leaf of public\.sensors_sensorreading, about .*: sensors_sensorreading_2025_01\? \[y\/N\] .*dropped/s,
    );
    expect(await isThere()).toBe(false);
  });

  it.each([
    ['n', 'n\n', 6],
    ['Ctrl-D', '\u0004', 6],
  ])('ends at %s, with nothing dropped', async (_what, typed, status) => {
    expect(() => onTerminal(DROP, {}, 120, typed)).toThrow(expect.objectContaining({ status }));
    expect(await isThere()).toBe(true);
  });
});
