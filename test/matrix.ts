import { spawnSync } from 'node:child_process';
import { mkdirSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { NODE_VERSIONS, nodeExecutable, POSTGRES_VERSIONS, postgresNative } from './support/runtimes.ts';

interface Combination {
  readonly name: string;
  readonly node: () => string;
  /** Null: the server of the optional dependency. */
  readonly native: (() => string) | null;
}

const COMBINATIONS: readonly Combination[] = [
  ...Object.keys(POSTGRES_VERSIONS).map((major) => ({
    name: `postgres${major}`,
    node: () => process.execPath,
    native: () => postgresNative(major),
  })),
  ...Object.keys(NODE_VERSIONS).map((major) => ({
    name: `node${major}`,
    node: () => nodeExecutable(major),
    native: null,
  })),
];

const VITEST = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
const LOGS = '.cache/matrix';

/** Runs tests once on one combination, all of them or those of some files; the output goes to a log. */
function runOne({ name, node, native }: Combination, files: readonly string[]): boolean {
  const log = join(LOGS, `${name}.log`);
  const output = openSync(log, 'w');
  const executable = node();
  const start = Date.now();
  const { status } = spawnSync(executable, [VITEST, 'run', '--config', 'test/vitest.config.ts', ...files], {
    env: {
      ...process.env,
      // What a test starts as `node` shall be that Node, too.
      PATH: `${dirname(executable)}:${process.env.PATH}`,
      ...(native === null ? {} : { SENSORDB_TEST_PG_NATIVE: native() }),
    },
    stdio: ['ignore', output, output],
  });
  const seconds = Math.round((Date.now() - start) / 1000);
  const verdict = status === 0 ? 'passed' : `FAILED (see ${log})`;
  process.stdout.write(`${name.padEnd(12)} ${verdict} in ${seconds} s\n`);
  return status === 0;
}

const files = process.argv.slice(2).filter((word) => word.includes('/'));
const wanted = process.argv.slice(2).filter((word) => !word.includes('/'));
const unknown = wanted.find((name) => !COMBINATIONS.some((combination) => combination.name === name));
if (unknown !== undefined) {
  throw new Error(`There is no ${unknown}: ${COMBINATIONS.map(({ name }) => name).join(', ')}.`);
}
mkdirSync(LOGS, { recursive: true });
const chosen = COMBINATIONS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const failed = chosen.filter((combination) => !runOne(combination, files));
process.exitCode = failed.length === 0 ? 0 : 1;
