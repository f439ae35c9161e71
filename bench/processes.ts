import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const EXECUTABLE = fileURLToPath(new URL('../bin/sensordb.js', import.meta.url));

/** As PostgreSQL ships: what the tests relax for speed is put back. */
export const AS_SHIPPED = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '100',
  max_prepared_transactions: '0',
};

/** What one process came to. */
export interface Ran {
  readonly seconds: number;
  /** The most memory that it had at any moment, in megabytes. */
  readonly peakMb: number;
}

/** Runs sensordb in a process of its own, which has to end as it may, and looks at its memory while it runs. */
export async function runSensordb(
  url: string,
  args: readonly string[],
  mayEndWith: readonly unknown[] = [0],
): Promise<Ran> {
  const start = process.hrtime.bigint();
  const child = spawn(process.execPath, [EXECUTABLE, ...args], {
    env: { ...process.env, SENSORDB_DATABASE_URL: url },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let [said, peakMb] = ['', 0];
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const watch = setInterval(() => {
    peakMb = Math.max(peakMb, peakOf(child.pid));
  }, 10);
  const code = await new Promise((resolve) => child.on('exit', resolve));
  clearInterval(watch);
  if (!mayEndWith.includes(code)) throw new Error(`sensordb ${args.join(' ')} ended with ${code}: ${said}`);
  return { seconds: Number(process.hrtime.bigint() - start) / 1e9, peakMb };
}

/** VmHWM is the peak since the process began; only Linux tells. */
function peakOf(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0; // It has ended.
  }
}

/** Times a process that is nothing but a bare Node. */
export function runBareNode(): number {
  const start = process.hrtime.bigint();
  spawnSync(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  return Number(process.hrtime.bigint() - start) / 1e9;
}

/** Gives the median. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Prints one line of a table. */
export function row(...cells: readonly string[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}
