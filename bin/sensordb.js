#!/usr/bin/env node
import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const argv = process.argv.slice(2);

// `ps` shows the arguments: a URL may hold a password, so they are overwritten before anything else.
if (argv.some((word) => word.startsWith('--url'))) process.title = 'sensordb';

// Answered without loading anything: scripts ask for it often.
if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
  process.stdout.write(`${version}\n`);
} else {
  const { run } = await import('../dist/main.js');
  process.exitCode = await run(argv, version);
  // Whatever a driver may have left open, a command that is done ends. The streams are flushed by then.
  setTimeout(() => process.exit(), 2000).unref();
}
