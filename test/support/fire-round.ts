import { setTimeout as sleep } from 'node:timers/promises';
import { runCli } from './cli.ts';
import { findFaults } from './fire-check.ts';
import { endSessions, keepAggregates, keepPartitions } from './fire-commands.ts';
import { type Battlefield, type Clock, type Ground, timeOf } from './fire-ground.ts';
import { randomOf } from './fire-random.ts';
import { finish, finishPrepared, note, type Tally, writeOn } from './fire-writer.ts';

/** What came of a round. */
export interface RoundReport {
  readonly seed: number;
  /** Empty: the aggregates were exact. */
  readonly faults: readonly string[];
  readonly done: ReadonlyMap<string, number>;
}

const WRITERS = 4;

const REPLICA = 'set session_replication_role = replica';

/** How a round differs from another. */
export interface RoundOptions {
  readonly seed: number;
  /** How long is written. */
  readonly milliseconds: number;
  /** Sessions are ended on the server, too, now and then. */
  readonly terminate: boolean;
}

/** Runs one round: writes, commands and kills side by side, then one plain refresh, after which all must be exact. */
export async function fireRound(ground: Ground, options: RoundOptions): Promise<RoundReport> {
  const { seed } = options;
  const tally: Tally = { done: new Map(), failures: [], running: new Set() };
  const field = await ground.battlefield(seed % 4 !== 0);
  try {
    const clock = { hours: 0 };
    await fight(field, clock, options, tally);
    const faults = [...tally.failures, ...(await settle(field, clock, seed, tally))];
    return { seed, faults, done: tally.done };
  } finally {
    await field.drop();
  }
}

async function fight(
  field: Battlefield,
  clock: Clock,
  { seed, milliseconds, terminate }: RoundOptions,
  tally: Tally,
): Promise<void> {
  const ceased = new AbortController();
  const { signal } = ceased;
  const as = (user: string) => ({ random: randomOf(seed, user), clock });
  const named = (who: string, work: Promise<void>) => ({ who, work });
  const all = [
    ...Array.from({ length: WRITERS }, (_, n) => {
      const who = `writer${n}`;
      return named(who, writeOn(field.writerUrl, `${field.role}_${seed}_${n}`, as(who), tally, signal));
    }),
    named('load', writeOn(field.url, `${field.role}_${seed}_load`, as('load'), tally, signal, REPLICA)),
    named('prepared', finishPrepared(field.sql, as('prepared'), tally, signal)),
    named('aggregates', keepAggregates(field, as('aggregates'), tally, signal)),
    named('partitions', keepPartitions(field, as('partitions'), tally, signal)),
    ...(terminate ? [named('end', endSessions(field, as('end'), tally, signal))] : []),
  ];
  await sleep(milliseconds);
  ceased.abort();
  const patience = new AbortController();
  const late = sleep(20_000, 'late', { signal: patience.signal }).catch(() => 'late');
  for (const { who, work } of all) {
    if ((await Promise.race([work, late])) === 'late')
      tally.failures.push(`${who} came to no end`, ...tally.running, ...(await readSessions(field)));
  }
  patience.abort();
}

/** What the server is at: of use when something comes to no end. */
async function readSessions({ sql }: Battlefield): Promise<readonly string[]> {
  const rows = await sql<{ line: string }[]>`
    select concat_ws(' ', pid, usename, application_name, state, wait_event_type, wait_event, pg_blocking_pids(pid)::text,
                     left(query, 120)) as line
      from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`;
  return rows.map(({ line }) => line);
}

async function settle(
  { url, sql }: Battlefield,
  clock: Clock,
  seed: number,
  tally: Tally,
): Promise<readonly string[]> {
  await finish(sql, { random: randomOf(seed, 'last'), clock }, tally, 1);
  const { exitCode, stdout } = await runCli(['aggregates', 'refresh', '--json'], { url, now: timeOf(clock) });
  if (exitCode !== 0) return [`The last refresh ended with ${exitCode}: ${stdout}`];
  const [{ retired } = { retired: 0 }] = await sql<
    { retired: number }[]
  >`select count(*)::int as retired from sensordb.aggregate_retired`;
  if (retired > 0) note(tally, 'rounds with retired hours');
  if (clock.hours > 0) note(tally, 'rounds whose gate moved');
  return await findFaults(sql);
}

/** Says what is to be said of a broken round. */
export function describeRound({ seed, faults, done }: RoundReport): string {
  const counts = [...done].map(([what, count]) => `${what} ${count}`).sort();
  return `Seed ${seed}: ${faults.length} faults\n  ${faults.slice(0, 12).join('\n  ')}\n  ${counts.join('; ')}`;
}
