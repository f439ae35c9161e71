#!/usr/bin/env node
// CommonJS, like the bundle: starting Node's loader for ES modules takes a fifth of the time that a bare Node takes to start.
const { readFileSync } = require('node:fs');

const { version } = JSON.parse(readFileSync(`${__dirname}/../package.json`, 'utf8'));
const argv = process.argv.slice(2);
const [major, minor] = process.versions.node.split('.').map(Number);

// `ps` shows the arguments: a URL may hold a password, so they are overwritten before anything else.
if (argv.some((word) => word.startsWith('--url'))) process.title = 'sensordb';

async function start() {
  const keep = require('./compile-cache.js')(argv);
  const { run } = require('../dist/main.js');
  process.exitCode = await run(argv, version, (code) => process.exit(code));
  if (process.exitCode !== 2) keep();
  // Whatever a driver may have left open, a command that is done ends. The streams are flushed by then.
  setTimeout(() => process.exit(), 2000).unref();
}

if (major < 20 || (major === 20 && minor < 19)) {
  // Said here, since an older Node.js would fail somewhere inside with a syntax error or a missing function.
  process.stderr.write(`error: sensordb needs Node.js 20.19 or newer; this is ${process.versions.node}.\n`);
  process.exitCode = 2;
} else if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
  // Answered without loading anything: scripts ask for it often.
  process.stdout.on('error', (error) => {
    if (error.code === 'EPIPE') return; // The reader has gone away.
    process.stderr.write(`error: The output could not be written: ${error.message}.\n`);
    process.exitCode = 1;
  });
  process.stdout.write(`${version}\n`);
} else {
  start();
}
