import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EXECUTABLE } from '../support/cli.ts';
import { liveDatabase } from '../support/live.ts';
import type { TestDatabase } from '../support/server.ts';

// The bundle on a real terminal, which script(1) makes: tables and the spinner are loaded there alone.

let database: TestDatabase;
beforeAll(async () => {
  database = await liveDatabase();
});
afterAll(() => database.drop());

function onTerminal(words: string, env: Readonly<Record<string, string>> = {}, columns = 120): string {
  const command = `stty cols ${columns}; ${process.execPath} ${EXECUTABLE} ${words}`;
  return execFileSync('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      TERM: 'xterm',
      SENSORDB_DATABASE_URL: database.url,
      ...env,
    },
  });
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
