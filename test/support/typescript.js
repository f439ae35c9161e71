// Lets Node run the TypeScript of bench/ and test/matrix.ts: node --import ./test/support/typescript.js FILE.
// Node 20 cannot by itself, and import.meta.url must stay that of the source.
import { readFile } from 'node:fs/promises';
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { transform } from 'esbuild';

/** Loads a .ts file by removing its types. */
export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const { code } = await transform(await readFile(new URL(url), 'utf8'), { loader: 'ts', target: 'node20' });
  return { format: 'module', source: code, shortCircuit: true };
}

// The hooks themselves run in a thread of their own, which loads this file again.
if (isMainThread) register(import.meta.url);
