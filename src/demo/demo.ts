import { once } from 'node:events';
import type { Context } from '../cli/context.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { GlobalOptions } from '../cli/options.ts';
import { type Outcome, write } from '../cli/output.ts';
import { startProgress } from '../cli/progress.ts';
import { type Style, styleOf } from '../cli/style.ts';
import { embeddedConninfo } from '../cli/with-session.ts';
import type { Conninfo } from '../db/conninfo/types.ts';
import { type EmbeddedServer, startEmbedded } from '../db/embedded.ts';
import { openSql } from '../db/open.ts';
import { type LoadReport, loadReadings } from './load.ts';
import { type RunCommand, type Stop, walkTo } from './walk.ts';

/** The options of `demo`. */
export interface DemoOptions extends GlobalOptions {
  /** Absent: as long as somebody at a terminal may want to look around. */
  readonly stay?: boolean;
}

const DATABASE = 'sensordb_demo';

/** Runs `demo`: starts a server, walks through the commands, says how to look around, stops the server. */
export async function demoCommand(
  context: Context,
  options: DemoOptions,
  runCommand: RunCommand,
): Promise<Outcome> {
  const style = await styleOf(context.stdout, context, options.color !== false);
  const progress = await startProgress('Starting PostgreSQL', options, context);
  const directory = typeof options.embedded === 'string' ? options.embedded : undefined;
  const server = await startEmbedded({ directory, onStep: progress.update, signal: context.signal }).finally(
    progress.stop,
  );
  try {
    const report = await walk(context, options, style, server, runCommand);
    const stay = options.stay ?? (context.stdout.isTTY === true && context.stdin.isTTY === true);
    await write(context.stdout, goodbye(style, server, stay));
    if (stay) await stopAsked(context.signal);
    return outcomeOf(server, report);
  } finally {
    await server.stop();
  }
}

async function walk(
  context: Context,
  options: DemoOptions,
  style: Style,
  server: EmbeddedServer,
  runCommand: RunCommand,
): Promise<LoadReport> {
  const { chalk } = style;
  const conninfo = await recreateDatabase(server, context.signal);
  const url = `host=${server.host} port=${server.port} user=${server.user} dbname=${DATABASE}`;
  const env = { SENSORDB_DATABASE_URL: url };
  const until = context.now();
  const from = new Date(until.getTime() - 365 * 86_400_000);
  const go = (stop: Stop): Promise<void> => walkTo(stop, context, style, env, runCommand);
  await write(
    context.stdout,
    `PostgreSQL ${server.version} runs, with its data in ${server.dataDirectory}.\n${chalk.dim(`export SENSORDB_DATABASE_URL="${url}"`)}\n`,
  );
  await go({ text: 'The tables come first: one transaction for each migration.', argv: ['migrate', 'up'] });
  const monthsBack = from.toISOString().slice(0, 7);
  await go({
    text: 'Leaves for the year behind us and the three months ahead, each made aside and then attached.',
    argv: ['partitions', 'ensure', '--from', monthsBack, '--months', '3'],
  });
  const report = await load(context, options, conninfo, { from, until });
  await write(context.stdout, `\n${describeLoad(report)}\n`);
  await go({
    text: 'What there is now. The readings that the broken clock dated 1970 and 2098 went to DEFAULT: no batch failed.',
    argv: ['partitions', 'list'],
  });
  await go({
    text: 'One more month. First the very SQL that would be sent, with the locks it takes; it runs in psql, too.',
    argv: ['partitions', 'ensure', '--months', '4', '--dry-run'],
  });
  await go({ text: 'Then for real.', argv: ['partitions', 'ensure', '--months', '4'] });
  await go({
    text: 'Once more, as cron would every night: nothing to do, no DDL, exit code 0.',
    argv: ['partitions', 'ensure', '--months', '4'],
  });
  await go({ text: 'And for CI: is every migration applied?', argv: ['migrate', 'status', '--check'] });
  return report;
}

/** Makes the demo's own database anew, so that every walk begins with the first step. */
async function recreateDatabase(server: EmbeddedServer, signal: AbortSignal): Promise<Conninfo> {
  const open = await openSql(embeddedConninfo(server), { signal });
  try {
    await open.run(`drop database if exists ${DATABASE} with (force)`, [], { signal });
    await open.run(`create database ${DATABASE}`, [], { signal });
  } finally {
    await open.close();
  }
  return embeddedConninfo({ ...server, database: DATABASE });
}

async function load(
  context: Context,
  options: DemoOptions,
  conninfo: Conninfo,
  range: { readonly from: Date; readonly until: Date },
): Promise<LoadReport> {
  const progress = await startProgress('Loading a year of readings', options, context);
  try {
    return await loadReadings(conninfo, range, context.signal, (rows) => {
      progress.update(`Loading a year of readings: ${rows.toLocaleString('en-US')} rows`);
    });
  } finally {
    progress.stop();
  }
}

function describeLoad(report: LoadReport): string {
  const count = (n: number): string => n.toLocaleString('en-US');
  const rate = Math.round(report.rows / report.seconds / 1000);
  return `Loaded ${count(report.rows)} readings of ${report.devices} devices in ${report.seconds.toFixed(1)} s (${rate},000 a second), among them
${count(report.duplicates)} sent twice, ${count(report.late)} that came days late, and ${count(report.brokenClock)} from a device with a broken clock.`;
}

function goodbye({ chalk }: Style, server: EmbeddedServer, stay: boolean): string {
  const psql = server.psql.replace(`dbname=${server.database}`, `dbname=${DATABASE}`);
  if (stay) {
    return `\nLook around while it runs, from another terminal:\n  ${chalk.bold(psql)}\nCtrl-C stops the server; its data stay in ${server.dataDirectory}.\n`;
  }
  return `\nThat was the walk. To look around: sensordb demo --stay, and from another terminal\n  ${chalk.bold(psql)}\nIts data stay in ${server.dataDirectory}.\n`;
}

/** Waits for Ctrl-C: here it is how one leaves, not an interruption of work. */
async function stopAsked(signal: AbortSignal): Promise<void> {
  // A signal alone keeps no process alive.
  const alive = setInterval(() => {}, 1 << 30);
  try {
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    clearInterval(alive);
  }
}

function outcomeOf(server: EmbeddedServer, report: LoadReport): Outcome {
  const { dataDirectory, version } = server;
  return {
    exitCode: EXIT.done,
    changed: true,
    data: { dataDirectory, serverVersion: version, ...report },
    warnings: [],
    error: null,
    render: () => '',
  };
}
