import type { Sql } from 'postgres';
import { connectTo } from '../../test/support/connect.ts';
import { median, row } from '../processes.ts';
import { type Arena, DEVICES } from './arena.ts';

const ROUNDS = 15;
const ROUND_MS = 2000;

const ROWS = `insert into sensors_sensorreading (device_id, timestamp, value)
  select 1 + n % ${DEVICES}, clock_timestamp(), n from generate_series(1, $1::int) n`;

/** Counts the rows that one writer gets in within a moment, so many to a commit. */
async function write(sql: Sql, batch: number): Promise<number> {
  const start = performance.now();
  let rows = 0;
  while (performance.now() - start < ROUND_MS) {
    await sql.unsafe(ROWS, [batch], { prepare: true });
    rows += batch;
  }
  return rows / (performance.now() - start);
}

/** Times current writes into a table with the triggers beside one without, turn by turn. */
export async function benchIngestion(
  plain: Arena,
  triggered: Arena,
  { batch, atMost }: { readonly batch: number; readonly atMost: number },
): Promise<void> {
  const [without, within] = [connectTo(plain.url), connectTo(triggered.url)];
  const ratios: number[] = [];
  for (let round = -1; round < ROUNDS; round += 1) {
    // Who comes first takes turns, too.
    const first = round % 2 === 0 ? without : within;
    const second = first === without ? within : without;
    const [a, b] = [await write(first, batch), await write(second, batch)];
    if (round >= 0) ratios.push(first === without ? b / a : a / b);
  }
  await Promise.all([without.end(), within.end()]);
  const slower = (1 - median(ratios)) * 100;
  row(
    `ingestion, ${batch === 1 ? 'a commit a row' : `${batch.toLocaleString('en')} rows a commit`}`,
    'against the same table without triggers',
    `${slower.toFixed(1)} % slower (at most ${atMost} %)`,
  );
}
