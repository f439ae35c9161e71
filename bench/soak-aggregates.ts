import { randomInt } from 'node:crypto';
import { prepareGround } from '../test/support/fire-ground.ts';
import { describeRound, fireRound } from '../test/support/fire-round.ts';
import { startServer } from '../test/support/postgres.ts';

// Hourly aggregates under writers of all isolation levels, DDL and kills; after each round a recount must agree with what is
// stored. Stops at the first round that is broken, and exits 1.
//
//   npm run soak:aggregates
//   npm run soak:aggregates -- 100          so many rounds
//   npm run soak:aggregates -- 1 12345      from this seed on: as like it as concurrency lets it
//   npm run soak:aggregates -- 9 12345 spare    without ending sessions on the server

const ROUNDS = Number(process.argv[2] ?? 1000);
const FIRST = Number(process.argv[3] ?? randomInt(1_000_000_000));
const TERMINATE = process.argv[4] !== 'spare';
const ROUND_MS = 2500;

const server = await startServer();
const total = new Map<string, number>();
let broken = false;
try {
  const ground = await prepareGround(server.url);
  for (let round = 0; round < ROUNDS && !broken; round += 1) {
    const report = await fireRound(ground, {
      seed: FIRST + round,
      milliseconds: ROUND_MS,
      terminate: TERMINATE,
    });
    broken = report.faults.length > 0;
    for (const [what, count] of report.done) total.set(what, (total.get(what) ?? 0) + count);
    process.stdout.write(
      `round ${round + 1} of ${ROUNDS}, seed ${report.seed}: ${broken ? 'BROKEN' : 'exact'}\n`,
    );
    if (broken) {
      process.stdout.write(`${describeRound(report)}\nAgain: npm run soak:aggregates -- 1 ${report.seed}\n`);
    }
  }
  await ground.drop();
} finally {
  await server.stop();
}
for (const [what, count] of [...total].sort()) process.stdout.write(`${what}: ${count}\n`);
process.exitCode = broken ? 1 : 0;
