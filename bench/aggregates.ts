import { startServer } from '../test/support/postgres.ts';
import { openArena } from './aggregates/arena.ts';
import { benchBackfill } from './aggregates/backfill.ts';
import { benchIngestion } from './aggregates/ingest.ts';
import { benchIdle, benchLate } from './aggregates/refresh.ts';
import { AS_SHIPPED, row, runSensordb } from './processes.ts';

// What aggregates cost, in whole processes, the two that are compared turn by turn, medians; PostgreSQL with its default settings.
//
//   npm run bench:aggregates                all of it: some twenty minutes
//   npm run bench:aggregates -- 1           so many rounds of each backfill

const ROUNDS = Number(process.argv[2] ?? 3);
const DAY = 86_400;

const server = await startServer({ settings: AS_SHIPPED });
try {
  row('what', 'measured', 'ratio');
  row('---', '---', '---');
  const sixMonths = { name: 'six_months', everySeconds: 13 * 60, perDevice: Math.round(20_000) };
  const ten = await openArena(server, sixMonths);
  const tenSeconds = await benchBackfill(ten, 2, ROUNDS);
  await benchIdle(ten);
  const tenLate = await benchLate(ten);
  await ten.sql.end();
  const large = await openArena(server, {
    name: 'large',
    everySeconds: 60,
    perDevice: Math.round((31 * DAY) / 60),
  });
  const largeSeconds = await benchBackfill(large, 3, ROUNDS);
  const largeLate = await benchLate(large);
  await large.sql.end();
  const small = await openArena(server, { name: 'small', everySeconds: 60, perDevice: 4000 });
  await runSensordb(small.url, ['aggregates', 'backfill']);
  const smallLate = await benchLate(small);
  for (const [what, late, backfill] of [
    ['10 million', tenLate, tenSeconds],
    ['22 million', largeLate, largeSeconds],
  ] as const) {
    row(
      `refresh after 1,000 late rows in 20 device-hours, ${what}`,
      `${Math.round(late * 1000)} ms`,
      `1/${(backfill / late).toFixed(0)} of the first backfill (at most 1/50)`,
    );
  }
  const times = `${(largeLate / smallLate).toFixed(2)} × (at most 1.3 ×)`;
  row('the same on 22 million against 2 million', `${Math.round(smallLate * 1000)} ms on 2 million`, times);
  const plain = await openArena(server, { name: 'plain', everySeconds: 60, perDevice: 400 });
  const triggered = await openArena(server, { name: 'triggered', everySeconds: 60, perDevice: 400 });
  await runSensordb(triggered.url, ['aggregates', 'backfill']);
  await benchIngestion(plain, triggered, { batch: 1000, atMost: 10 });
  await benchIngestion(plain, triggered, { batch: 1, atMost: 15 });
  await Promise.all([small, plain, triggered].map(({ sql }) => sql.end()));
} finally {
  await server.stop();
}
