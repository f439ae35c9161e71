import { setTimeout as sleep } from 'node:timers/promises';
import { interruption } from '../../src/cli/signals.ts';
import { runCli, spawnCli } from './cli.ts';
import { type Battlefield, DAYS, dateOf, leafOf, timeOf } from './fire-ground.ts';
import { note, type Tally } from './fire-writer.ts';
import type { Source } from './fire-writes.ts';

const WAIT = ['--wait', '3s', '--json'];

/** Runs commands on the aggregates, one after the other, the clock moving on between them; some are ended midway. */
export async function keepAggregates(
  { url }: Battlefield,
  source: Source,
  tally: Tally,
  ceased: AbortSignal,
): Promise<void> {
  const { random, clock } = source;
  while (!ceased.aborted) {
    if (random.chance(0.7) && clock.hours < 40) clock.hours += random.chance(0.85) ? 1 : 4;
    const kind = random.weighted({ refresh: 12, backfill: 3, recount: 2 });
    const day = random.between(-1, 2);
    const words = {
      refresh: ['aggregates', 'refresh'],
      backfill: ['aggregates', 'backfill', '--jobs', '2'],
      recount: ['aggregates', 'backfill', '--recount', '--from', dateOf(day), '--to', dateOf(day + 1)],
    }[kind];
    await command(url, [...words, ...WAIT], source, tally);
    await sleep(random.between(0, 40));
  }
}

/** Runs commands on the partitions, one after the other; those before the day before the first are detached and dropped. */
export async function keepPartitions(
  { url }: Battlefield,
  source: Source,
  tally: Tally,
  ceased: AbortSignal,
): Promise<void> {
  const { random } = source;
  const gate = ['--no-gate', '--yes'];
  while (!ceased.aborted) {
    const leaf = leafOf(random.between(DAYS.first, -2));
    const kind = random.weighted({ ensure: 1, detach: 4, attach: 4, drop: 2 });
    const ahead = dateOf(DAYS.last + random.between(2, 4));
    const words = {
      ensure: ['ensure', '--interval', 'day', '--from', dateOf(DAYS.last + 1), '--until', ahead],
      detach: ['detach', leaf, ...gate],
      attach: ['attach', leaf],
      drop: ['drop', leaf, ...gate],
    }[kind];
    await command(url, ['partitions', ...words, ...WAIT], source, tally);
    await sleep(random.between(50, 300));
  }
}

/** Ends sessions of the commands and of the writers on the server, now and then. */
export async function endSessions(
  { sql, role }: Battlefield,
  { random }: Source,
  tally: Tally,
  ceased: AbortSignal,
): Promise<void> {
  while (!ceased.aborted) {
    await sleep(random.between(300, 2500), undefined, { signal: ceased }).catch(() => {});
    const whom = random.chance(0.7)
      ? `application_name <> 'sensordb-test' and usename <> '${role}'`
      : `usename = '${role}'`;
    const ended = await sql.unsafe(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' and ${whom}
        order by random() limit 1`,
    );
    if (ended.length > 0) note(tally, 'terminated');
  }
}

/** Runs one command in this process or in one of its own, and ends it midway or not. */
async function command(url: string, argv: readonly string[], source: Source, tally: Tally): Promise<void> {
  const { random, clock } = source;
  const [apart, ended, after] = [
    random.chance(0.35),
    random.chance(argv[0] === 'partitions' ? 0.15 : 0.4),
    random.between(20, 500),
  ];
  const name = `${argv[0]} ${argv[1]}`;
  const now = timeOf(clock);
  const running = `${argv.join(' ')} ${apart ? 'apart' : 'in process'}${ended ? `, ended after ${after} ms` : ''}`;
  tally.running.add(running);
  if (apart) {
    const run = spawnCli(argv, { url, env: { NODE_OPTIONS: clockOption(now) } });
    const signal = random.pick(['SIGKILL', 'SIGKILL', 'SIGINT'] as const);
    const timer = ended ? setTimeout(() => run.kill(signal), after + 100) : undefined;
    const { exitCode, stdout } = await run.ended;
    clearTimeout(timer);
    judge(name, exitCode, stdout, tally);
  } else {
    const interrupt = new AbortController();
    const timer = ended ? setTimeout(() => interrupt.abort(interruption('SIGINT')), after) : undefined;
    const { exitCode, stdout } = await runCli(argv, { url, now, signal: interrupt.signal });
    clearTimeout(timer);
    judge(name, exitCode, stdout, tally);
  }
  tally.running.delete(running);
}

/** What a command may end with here: done, conflict, blocked, refused, interrupted, terminated. */
function judge(name: string, exitCode: number | null, stdout: string, tally: Tally): void {
  const error = exitCode === 0 || stdout === '' ? null : JSON.parse(stdout).error;
  note(tally, `${name}: ${exitCode ?? 'killed'}${error === null ? '' : ` ${error.code}`}`);
  if (error?.code === 'internal_error') tally.failures.push(`${name}: ${error.message}`);
}

/** Has a process take another time for that of the machine. */
function clockOption(now: Date): string {
  const shim = `const D=Date,behind=D.now()-${now.getTime()};globalThis.Date=class extends D{constructor(...a){if(a.length)super(...a);else super(D.now()-behind)}static now(){return D.now()-behind}}`;
  return `--import=data:text/javascript,${encodeURIComponent(shim)}`;
}
