import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo } from './connect.ts';

/** How sensors_sensorreading is written and read while something is done to its partitions. */
export interface FireOptions {
  readonly writers?: number;
  /** The rows of one write, which is one INSERT through the parent and one commit. */
  readonly rows?: number;
  /** From the beginning of one write of a writer to that of its next, if it is done by then. */
  readonly everyMs?: number;
  /** The timestamp of each row, as an SQL expression. */
  readonly at?: string;
  /** Reads the whole table, unpruned, in a transaction that stays open so long, and begins again after a pause. */
  readonly reader?: { readonly openMs: number; readonly pauseMs: number };
}

/** What came of the writes. */
interface FireReport {
  /** How long each write took, in milliseconds. */
  readonly writeMs: readonly number[];
  /** The rows whose commit was answered; their values are numbered from the first one on. */
  readonly sentRows: number;
  /** What the server said to each write or read that failed. */
  readonly failures: readonly string[];
  readonly reads: number;
}

/** Writers and a reader at work. */
export interface Fire {
  /** How many writes and reads there were so far. */
  readonly soFar: () => { readonly writes: number; readonly reads: number };
  /** Lets everybody finish what he is at. */
  readonly stop: () => Promise<FireReport>;
}

interface Tally {
  readonly writeMs: number[];
  readonly failures: string[];
  sentRows: number;
  nextValue: number;
  reads: number;
}

/**
 * Opens fire on sensors_sensorreading: every row has a value of its own, from `firstValue` on, so that a recount shows
 * whether one is lost or there twice.
 */
export function openFire(url: string, firstValue: number, options: FireOptions = {}): Fire {
  const { writers = 2, reader = { openMs: 5000, pauseMs: 1000 } } = options;
  const tally: Tally = { writeMs: [], failures: [], sentRows: 0, nextValue: firstValue, reads: 0 };
  const ceased = new AbortController();
  const all = [
    ...Array.from({ length: writers }, () => write(url, options, tally, ceased.signal)),
    read(url, reader, tally, ceased.signal),
  ];
  return {
    soFar: () => ({ writes: tally.writeMs.length, reads: tally.reads }),
    stop: async () => {
      ceased.abort();
      await Promise.all(all);
      const { writeMs, sentRows, failures, reads } = tally;
      return { writeMs, sentRows, failures, reads };
    },
  };
}

async function write(url: string, options: FireOptions, tally: Tally, ceased: AbortSignal): Promise<void> {
  const { rows = 10, everyMs = 5, at = 'now()' } = options;
  const sql = connectTo(url);
  const insert = `insert into sensors_sensorreading (device_id, timestamp, value)
    select 1, ${at}, v from generate_series($1::int, $2::int) as v`;
  while (!ceased.aborted) {
    const first = tally.nextValue;
    tally.nextValue += rows;
    const start = performance.now();
    try {
      await sql.unsafe(insert, [first, first + rows - 1], { prepare: true });
      tally.sentRows += rows;
    } catch (thrown) {
      tally.failures.push(`write: ${thrown instanceof Error ? thrown.message : thrown}`);
    }
    const took = performance.now() - start;
    tally.writeMs.push(took);
    await pause(everyMs - took, ceased);
  }
  await sql.end();
}

async function read(
  url: string,
  { openMs, pauseMs }: NonNullable<FireOptions['reader']>,
  tally: Tally,
  ceased: AbortSignal,
): Promise<void> {
  const sql = connectTo(url);
  while (!ceased.aborted) {
    try {
      await sql.begin(async (transaction) => {
        await transaction.unsafe('select count(*) from sensors_sensorreading');
        tally.reads += 1;
        await pause(openMs, ceased);
      });
    } catch (thrown) {
      tally.failures.push(`read: ${thrown instanceof Error ? thrown.message : thrown}`);
    }
    await pause(pauseMs, ceased);
  }
  await sql.end();
}

async function pause(milliseconds: number, ceased: AbortSignal): Promise<void> {
  if (milliseconds <= 0) return;
  await sleep(milliseconds, undefined, { signal: ceased }).catch(() => {});
}
