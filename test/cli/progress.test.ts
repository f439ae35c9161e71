import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Context, processContext } from '../../src/cli/context.ts';
import { startProgress } from '../../src/cli/progress.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function fixture(terminal: boolean, env: Record<string, string> = {}) {
  const stderr = Object.assign(new PassThrough(), terminal ? { isTTY: true, columns: 40 } : {});
  const context: Context = { ...processContext('0.0.0', new AbortController().signal), env, stderr };
  // From Node 26 on read() gives one chunk at a time.
  const shown = (): string => {
    let text = '';
    for (let chunk = stderr.read(); chunk !== null; chunk = stderr.read()) text += String(chunk);
    return text;
  };
  return { context, shown };
}

it.each([
  ['off a terminal', false, {}],
  ['on a dumb terminal', true, { TERM: 'dumb' }],
  ['on the terminal of a CI job', true, { CI: 'true' }],
])('%s says every 30 s what it is at, in a line, and nothing in between', async (_where, terminal, env) => {
  const { context, shown } = fixture(terminal, env);
  const progress = await startProgress('Reading', {}, context);
  vi.advanceTimersByTime(29_999);
  expect(shown()).toBe('');
  vi.advanceTimersByTime(1);
  expect(shown()).toBe('Reading\n');
  progress.update('Creating a leaf');
  vi.advanceTimersByTime(60_000);
  expect(shown()).toBe('Creating a leaf\nCreating a leaf\n');
  progress.stop();
  vi.advanceTimersByTime(90_000);
  expect(shown()).toBe('');
});

it('spins on a terminal, in one line that fits, and leaves nothing behind', async () => {
  const { context, shown } = fixture(true);
  const cleared: string[] = [];
  // What a tty.WriteStream has and a plain stream has not.
  Object.assign(context.stderr, {
    cursorTo: () => cleared.push('to the start'),
    clearLine: () => cleared.push('line'),
    moveCursor: () => {},
  });
  const progress = await startProgress('a'.repeat(100), {}, context);
  vi.advanceTimersByTime(200);
  const text = shown();
  expect(text).toContain(`${'a'.repeat(35)}…`);
  expect(text).not.toContain('\n');
  cleared.length = 0;
  progress.stop();
  expect(cleared).toContain('line');
  expect(shown()).not.toContain('a');
});

it.each([true, false])('is silent with --quiet (terminal: %s)', async (terminal) => {
  const { context, shown } = fixture(terminal);
  const progress = await startProgress('Reading', { quiet: true }, context);
  progress.update('Creating');
  vi.advanceTimersByTime(120_000);
  progress.stop();
  expect(shown()).toBe('');
});
