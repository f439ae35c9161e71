import { once } from 'node:events';
import type { Context } from '../cli/context.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { GlobalOptions } from '../cli/options.ts';
import { type Outcome, write } from '../cli/output.ts';
import { startProgress } from '../cli/progress.ts';
import { stopEmbedded } from '../cli/stop-embedded.ts';
import type { Conninfo } from '../db/conninfo/types.ts';
import { connectionString, embeddedConninfo, psqlCommand, quoteForShell } from '../db/embedded/conninfo.ts';
import { type EmbeddedServer, startEmbedded } from '../db/embedded.ts';
import { openSql } from '../db/open.ts';
import { type LoadReport, loadReadings } from './load.ts';
import { openStage, type Stage } from './stage.ts';
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
  const progress = await startProgress('Starting PostgreSQL', options, context);
  const directory = typeof options.embedded === 'string' ? options.embedded : undefined;
  const server = await startEmbedded({ directory, onStep: progress.update, signal: context.signal }).finally(
    progress.stop,
  );
  try {
    const login = { ...server, database: DATABASE };
    const stage = await openStage(context, options, connectionString(login));
    await recreateDatabase(server, context.signal);
    await write(stage.context.stdout, welcome(stage, server, connectionString(login)));
    const report = await walk(stage, options, embeddedConninfo(login), runCommand);
    const stay = options.stay ?? isWatched(context, options);
    await write(stage.context.stdout, goodbye(stage, server, psqlCommand(login), stay));
    if (stay) await stopAsked(context.signal);
    return outcomeOf(server, report);
  } finally {
    await stopEmbedded(server, context, options);
  }
}

/** Tells whether somebody sees the walk who may want to look around. */
function isWatched({ stdin, stdout }: Context, { json, quiet }: DemoOptions): boolean {
  return stdout.isTTY === true && stdin.isTTY === true && json !== true && quiet !== true;
}

async function walk(
  stage: Stage,
  options: DemoOptions,
  conninfo: Conninfo,
  runCommand: RunCommand,
): Promise<LoadReport> {
  const { context } = stage;
  const until = context.now();
  const from = new Date(until.getTime() - 365 * 86_400_000);
  const go = (stop: Stop): Promise<void> => walkTo(stop, stage, runCommand);
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
  await aggregate(go);
  await retire(go);
  await inspect(stage, conninfo, go);
  await go({ text: 'And for CI: is every migration applied?', argv: ['migrate', 'status', '--check'] });
  return report;
}

/** Hours counted, readings set aside, and what that changed counted again. */
async function aggregate(go: (stop: Stop) => Promise<void>): Promise<void> {
  await go({
    text: 'A year of hourly aggregates, on two connections. From now on triggers log what comes late, and nothing else.',
    argv: ['aggregates', 'backfill', '--jobs', '2'],
  });
  await go({
    text: 'No leaf should exist for 1970 or 2098: those readings are set aside, out of DEFAULT.',
    argv: ['partitions', 'drain', '--quarantine', 'sensors_sensorreading_quarantine'],
  });
  await go({
    text: 'That changed some hours. Exactly those are counted again.',
    argv: ['aggregates', 'refresh'],
  });
  await go({
    text: 'Is every aggregate what the readings say? A recount of one device-hour in ten.',
    argv: ['aggregates', 'verify', '--sample', '0.1', '--seed', '1'],
  });
  await go({
    text: 'How do the aggregates stand?',
    argv: ['aggregates', 'status'],
  });
}

/** The rest of a leaf's life: leaves taken out, put back, dropped, and looked over. */
async function retire(go: (stop: Stop) => Promise<void>): Promise<void> {
  await go({
    text: 'What is older than eleven months leaves the table. It stays as a table of its own.',
    argv: ['partitions', 'detach', '--older-than', '11mo'],
  });
  await go({
    text: 'A retired leaf has a grace time: nothing is dropped that was detached less than a week ago.',
    argv: ['partitions', 'drop', '--older-than', '11mo', '--keep-for', '7d', '--yes'],
  });
  await go({
    text: 'Without the grace time it goes for good, unless something depends on it. There is never a CASCADE.',
    argv: ['partitions', 'drop', '--older-than', '11mo', '--yes'],
  });
  await go({
    text: 'Has any leaf drifted from its parent: owner, grants, indexes, triggers, row security?',
    argv: ['partitions', 'repair', '--check'],
  });
}

/** What autovacuum leaves out, and then whether anything is unhealthy. */
async function inspect(stage: Stage, conninfo: Conninfo, go: (stop: Stop) => Promise<void>): Promise<void> {
  const { context, style } = stage;
  const { chalk } = style;
  const statement = 'analyze sensors_sensorreading';
  const text =
    'Autovacuum gathers statistics of every leaf, and never of the table as a whole: that is somebody’s to do.';
  await write(context.stdout, `\n${text}\n${chalk.green(chalk.bold('=>'))} ${chalk.bold(statement)}\n`);
  const open = await openSql(conninfo, { signal: context.signal });
  try {
    await open.run(statement, [], { signal: context.signal });
  } finally {
    await open.close();
  }
  await go({
    text: 'Is anything unhealthy: indexes, partitions, tables, aggregates? It would exit 3, and print what mends it.',
    argv: ['inspect'],
  });
}

/** Makes the demo's own database anew, so that every walk begins with the first step. */
async function recreateDatabase(server: EmbeddedServer, signal: AbortSignal): Promise<void> {
  const open = await openSql(embeddedConninfo(server), { signal });
  try {
    await open.run(`drop database if exists ${DATABASE} with (force)`, [], { signal });
    await open.run(`create database ${DATABASE}`, [], { signal });
  } finally {
    await open.close();
  }
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

function welcome({ style }: Stage, server: EmbeddedServer, url: string): string {
  const line = style.chalk.dim(`export SENSORDB_DATABASE_URL=${quoteForShell(url)}`);
  return `PostgreSQL ${server.version} runs, with its data in ${server.dataDirectory}.\n${line}\n`;
}

function goodbye({ style }: Stage, server: EmbeddedServer, psql: string, stay: boolean): string {
  const line = style.chalk.bold(psql);
  if (!stay) {
    return `\nThat was the walk. To look around: sensordb demo --stay, and from another terminal\n  ${line}\nIts data stay in ${server.dataDirectory}.\n`;
  }
  const end = server.startedHere
    ? 'Ctrl-C stops the server, unless somebody is still connected'
    : 'Ctrl-C ends the demo; the server, which ran before it, stays';
  return `\nLook around while it runs, from another terminal:\n  ${line}\n${end}; its data stay in ${server.dataDirectory}.\n`;
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
