import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBudget } from '../../src/db/budget.ts';
import { resolveConninfo } from '../../src/db/conninfo/resolve.ts';
import { runTransaction } from '../../src/db/run-steps.ts';
import { connect, type Session } from '../../src/db/session.ts';
import type { Step } from '../../src/db/step.ts';
import { until } from '../support/live.ts';
import { connectTo, type RunningServer, startServer } from '../support/server.ts';

let server: RunningServer;
let session: Session;
beforeAll(async () => {
  // An autovacuum that begins within a second of a reason, and then takes minutes.
  server = await startServer({ settings: { autovacuum_naptime: '1s', log_autovacuum_min_duration: '0' } });
  const signal = new AbortController().signal;
  session = await connect(resolveConninfo({ url: server.url, env: {} }), { signal, onNotice: () => {} });
});
afterAll(async () => {
  await session.close();
  await server.stop();
});

it('an autovacuum that alone is in the way gives way, without readers or writers having waited', async () => {
  const sql = connectTo(server.url);
  await sql.unsafe(`create table slow (a int, filler text) with (autovacuum_vacuum_threshold = 0,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,
    autovacuum_analyze_threshold = 2000000000)`);
  await sql.unsafe(
    `insert into slow select n, repeat('x', 500) from generate_series(1, 20000) n; delete from slow`,
  );
  const isVacuumed = async () => {
    const rows =
      await sql`select from pg_locks where relation = 'slow'::regclass and mode = 'ShareUpdateExclusiveLock' and granted`;
    return rows.length > 0;
  };
  await until('autovacuum is at work', isVacuumed);
  const lock: Step = {
    title: 'Lock',
    sql: 'lock table public.slow in access exclusive mode',
    transaction: 1,
    locks: [{ relation: 'public.slow', mode: 'ACCESS EXCLUSIVE' }],
  };
  await sql.unsafe(`set lock_timeout to '100ms'`);
  let done = false;
  const run = runTransaction(session, [lock], { budget: createBudget(50, 60_000), onWait: () => {} }).finally(
    () => {
      done = true;
    },
  );
  // A writer with a lock_timeout of its own gets through for as long as the run waits.
  let written = 0;
  while (!done && written < 10_000) {
    await sql`insert into slow (a) values (1)`;
    written += 1;
  }
  await run;
  await run;
  expect(written).toBeGreaterThan(0);
  await sql.end();
});
