import { median, row, runBareNode, runSensordb } from '../processes.ts';
import { type Arena, DEVICES } from './arena.ts';

const ROUNDS = 21;

/** Times a refresh with nothing to do beside a bare Node, turn by turn; says how much WAL it wrote. */
export async function benchIdle(arena: Arena): Promise<void> {
  const [bare, idle]: [number[], number[]] = [[], []];
  const wal: number[] = [];
  for (let round = -2; round < ROUNDS; round += 1) {
    const node = runBareNode();
    const before = await walOf(arena);
    const { seconds } = await runSensordb(arena.url, ['aggregates', 'refresh']);
    if (round < 0) continue; // The first two warm the caches.
    wal.push((await walOf(arena)) - before);
    bare.push(node);
    idle.push(seconds);
  }
  const ratio = median(idle) / median(bare);
  row(
    'refresh with nothing to do',
    `${Math.round(median(idle) * 1000)} ms; \`node -e 0\` ${Math.round(median(bare) * 1000)} ms; ${median(wal)} bytes of WAL`,
    `${ratio.toFixed(2)} × (at most 2.2 × on Node 20)`,
  );
}

async function walOf({ sql }: Arena): Promise<number> {
  const [found] = await sql<
    { wal: number }[]
  >`select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as wal`;
  return found?.wal ?? Number.NaN;
}

/** Times a refresh after 1,000 late rows in 20 device-hours; gives the median in seconds. */
export async function benchLate(arena: Arena, rounds = 9): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await arena.sql.unsafe(`
      insert into sensors_sensorreading (device_id, timestamp, value)
      select 1 + (h * 37 + ${round}) % ${DEVICES}, date_trunc('hour', now()) - make_interval(hours => 30 + h * 31) + make_interval(secs => n * 70), n
        from generate_series(1, 20) h cross join generate_series(1, 50) n`);
    times.push((await runSensordb(arena.url, ['aggregates', 'refresh'])).seconds);
  }
  return median(times);
}
