import { afterEach, beforeEach, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { liveDatabase } from '../support/live.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await liveDatabase();
});
afterEach(() => database.drop());

/** Sets the title of a terminal that believes it; with a character of the C1 range, which does the same. */
const ESCAPES = '\u001b]0;pwned\u0007\u009b31m';
const SPELLED = '\\u001b]0;pwned\\u0007\\u009b31m';
const ENSURE = ['partitions', 'ensure', '--from', '2026-03-01', '--until', '2026-05-01'];

/** Expects that the text is shown, but none of what would steer the terminal. */
function expectHarmless(shown: string): void {
  expect(shown).toContain(SPELLED);
  expect(shown).not.toContain('\u001b]0;');
  expect(shown).not.toContain('\u0007');
  expect(shown).not.toContain('\u009b');
}

it.each([
  ['a terminal', 1000],
  ['a pipe', undefined],
])(
  "another session's query is spelled out while it is waited for, and in the error, on %s",
  async (_what, columns) => {
    const other = database.connect();
    await other.unsafe(`begin; update sensors_device set name = '${ESCAPES}'`);
    const { exitCode, stderr } = await runCli([...ENSURE, '--wait', '200ms'], {
      url: database.url,
      ...(columns === undefined ? {} : { terminal: columns }),
    });
    expect(exitCode).toBe(5);
    expectHarmless(stderr);
    // On the terminal there is also the spinner.
    const mentions = stderr.split(SPELLED).length - 1;
    if (columns !== undefined) expect(mentions).toBeGreaterThan(1);
  },
);

it("the server's warnings are spelled out, line by line", async () => {
  await database.sql.unsafe(`create function chatty() returns event_trigger language plpgsql as
      $$ begin raise warning E'first\\n${ESCAPES}'; end $$;
    create event trigger chatty on ddl_command_end execute function chatty()`);
  const { exitCode, stderr } = await runCli(ENSURE, { url: database.url });
  expect(exitCode).toBe(0);
  expect(stderr).toContain(`server warning: first\n${SPELLED}\n`);
  expectHarmless(stderr);
});

it("the server's errors are spelled out, line by line, and with SENSORDB_DEBUG, too", async () => {
  await database.sql.unsafe(`create function no() returns event_trigger language plpgsql as
      $$ begin raise exception E'first\\n${ESCAPES}' using hint = '${ESCAPES}'; end $$;
    create event trigger no on ddl_command_end when tag in ('CREATE TABLE') execute function no()`);
  const { exitCode, stderr } = await runCli(ENSURE, { url: database.url, env: { SENSORDB_DEBUG: '1' } });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^error: .*first\n/);
  expectHarmless(stderr);
});

it('arguments are spelled out in a usage error', async () => {
  const { exitCode, stderr } = await runCli([`--${ESCAPES}`, 'partitions', 'list']);
  expect(exitCode).toBe(2);
  expectHarmless(stderr);
});
