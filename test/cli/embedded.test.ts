import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEmbedded } from '../../src/db/embedded.ts';
import { runCli } from '../support/cli.ts';
import { type Home, isRunning, makeHome, visit } from '../support/embedded.ts';

let home: Home;

beforeAll(async () => {
  home = await makeHome();
});

afterAll(async () => {
  await home.remove();
});

test('runs commands on a server that is there for each of them, and keeps the data', {
  timeout: 60_000,
}, async () => {
  const { directory } = home;
  const up = await runCli(['migrate', 'up', '--embedded', directory], { env: { PGSERVICE: 'nosuch' } });
  expect([up.exitCode, up.stderr]).toEqual([0, '']);
  expect(await isRunning(directory)).toBe(false);

  const list = await runCli(['--embedded', directory, 'partitions', 'list', '--json']);
  expect([list.exitCode, list.stderr]).toEqual([0, '']);
  expect(list.json().data).toMatchObject({ table: { name: 'sensors_sensorreading' } });
  expect(await isRunning(directory)).toBe(false);
});

test('does not choose between two servers', async () => {
  const both = ['--embedded', home.directory, '--url', 'host=/nonexistent'];
  for (const argv of [
    [...both, 'inspect'],
    ['inspect', ...both],
  ]) {
    const { exitCode, stderr } = await runCli(argv);
    expect([exitCode, stderr]).toEqual([
      2,
      expect.stringMatching(/--embedded.* cannot be used with .*--url/),
    ]);
  }
});

test('says that the server runs on when somebody else is connected', { timeout: 60_000 }, async () => {
  const { directory } = home;
  await waitForVisitors(directory);
  const running = runCli(['partitions', 'list', '--embedded', directory]);
  const visitor = await visit(directory);
  const { exitCode, stderr } = await running;
  expect([exitCode, stderr]).toEqual([
    0,
    expect.stringMatching(/^warning: PostgreSQL in .* was left running/),
  ]);
  expect(await visitor`select 1 as one`).toEqual([{ one: 1 }]);

  // Whoever joins a server did not start it: nothing to be told, and still quiet.
  const joined = await runCli(['partitions', 'list', '--embedded', directory]);
  expect([joined.exitCode, joined.stderr]).toEqual([0, '']);
  await visitor.end();
  expect(await isRunning(directory)).toBe(true);
});

/** Makes every login to the database wait until a visitor is on the server (login triggers: PostgreSQL 17). */
async function waitForVisitors(directory: string): Promise<void> {
  const server = await startEmbedded({ directory });
  const sql = await visit(directory, 'sensordb');
  await sql.unsafe(`
    create function public.wait_for_visitor() returns event_trigger language plpgsql as $$
    begin
      while not exists (select from pg_stat_activity where application_name = 'visitor') loop
        perform pg_sleep(0.01), pg_stat_clear_snapshot();
      end loop;
    end $$;
    create event trigger wait_for_visitor on login execute function public.wait_for_visitor();`);
  await sql.end();
  expect(await server.stop()).toBe('stopped');
}
