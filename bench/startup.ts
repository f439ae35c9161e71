import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startServer } from '../test/support/postgres.ts';
import { NODE_VERSIONS, nodeExecutable } from '../test/support/runtimes.ts';

// Whole processes, from spawn to exit. The three commands take turns, so that a noisy moment hits all of them alike, and the
// medians are compared: the figure that counts is the ratio to a bare Node of the same version in the same run.

const EXECUTABLE = fileURLToPath(new URL('../bin/sensordb.js', import.meta.url));
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 41);

/** The most that each may take, as a multiple of `node -e 0`. */
const BOUNDS: Readonly<Record<string, { readonly version: number; readonly ensure: number }>> = {
  '20': { version: 1.4, ensure: 2.2 },
  '22': { version: 1.7, ensure: 3.8 },
  '24': { version: 1.7, ensure: 3.8 },
  '26': { version: 1.7, ensure: 3.8 },
};

function time(node: string, args: readonly string[], env: NodeJS.ProcessEnv): number {
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(node, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`);
  return milliseconds;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}

function measure(major: string, env: NodeJS.ProcessEnv): boolean {
  // The machine's own Node where it is of that version: that is what its users start.
  const isOwn = process.versions.node.startsWith(`${major}.`);
  const node = isOwn ? process.execPath : nodeExecutable(major);
  const commands = {
    bare: ['-e', '0'],
    version: [EXECUTABLE, '--version'],
    ensure: [EXECUTABLE, 'partitions', 'ensure', '--months', '3'],
  };
  const times = { bare: [] as number[], version: [] as number[], ensure: [] as number[] };
  for (let round = -2; round < ROUNDS; round += 1) {
    for (const name of ['bare', 'version', 'ensure'] as const) {
      const milliseconds = time(node, commands[name], env);
      if (round >= 0) times[name].push(milliseconds); // The first two warm the file cache.
    }
  }
  const bare = median(times.bare);
  const ratios = { version: median(times.version) / bare, ensure: median(times.ensure) / bare };
  const bounds = BOUNDS[major] as { version: number; ensure: number };
  const isWithin = ratios.version <= bounds.version && ratios.ensure <= bounds.ensure;
  const cell = (ratio: number, bound: number): string =>
    `${ratio.toFixed(2)} × (at most ${bound.toFixed(1)})`;
  process.stdout.write(
    `| ${isOwn ? process.versions.node : NODE_VERSIONS[major]} | ${Math.round(bare)} ms | ${cell(ratios.version, bounds.version)} | ${cell(ratios.ensure, bounds.ensure)} |\n`,
  );
  return isWithin;
}

const server = await startServer();
try {
  // The environment as it is here: it counts for the bare Node, too (with NODE_EXTRA_CA_CERTS Node 20 reads all certificates at
  // every start, Node 22 only when it needs them).
  const env = { ...process.env, SENSORDB_DATABASE_URL: server.url };
  for (const argv of [
    ['migrate', 'up'],
    ['partitions', 'ensure', '--months', '3'],
  ]) {
    time(process.execPath, [EXECUTABLE, ...argv], env);
  }
  process.stdout.write(
    '| Node | `node -e 0` | `sensordb --version` | `partitions ensure`, nothing to do |\n',
  );
  process.stdout.write('|---|---|---|---|\n');
  const wanted = process.argv.slice(2);
  const majors = wanted.length === 0 ? Object.keys(NODE_VERSIONS) : wanted;
  const results = majors.map((major) => measure(major, env));
  process.exitCode = results.every(Boolean) ? 0 : 1;
} finally {
  await server.stop();
}
