import { expect } from 'vitest';
import { type CliResult, runCli, spawnCli } from './cli.ts';
import { type PassingStatement, startProxy } from './proxy.ts';
import type { TestDatabase } from './server.ts';

/** A command that is disturbed over and over, each time from the same beginning. */
export interface KillScene {
  readonly words: readonly string[];
  readonly database: TestDatabase;
  readonly now: string;
  /** Brings back the beginning. */
  readonly reset: () => Promise<unknown>;
  /** All that an undisturbed run leaves, and that a disturbed one must have left after a second run. */
  readonly endState: () => Promise<unknown>;
  /** So many first words make the kind of a statement: one of each kind is disturbed. */
  readonly kindWords: number;
  /** Which statements are disturbed, a COMMIT by `commit of` what it commits; all when absent. */
  readonly among?: RegExp;
}

/** Breaks the connection at one statement of each kind, and expects an honest error and a second run that makes it good. */
export async function surviveCuts(scene: KillScene): Promise<void> {
  const { spots, state } = await rehearse(scene);
  for (const spot of spots) {
    // Before a statement is as after the one before it, but for the last answer, that to COMMIT above all.
    const when = spot.text === 'commit' ? 'after' : 'before';
    const where = `cut ${when} ${spot.says.slice(0, 80)}`;
    await disturb(
      scene,
      spot,
      when,
      ({ cut }) => cut(),
      async (url) => {
        expectHonest(await runCli(scene.words, { url, now: scene.now }), spot.phase, where);
      },
    );
    await expectRecovery(scene, state, where);
  }
}

/** Terminates the server process at one statement of each kind. */
export async function surviveTerminations(scene: KillScene): Promise<void> {
  const { spots, state } = await rehearse(scene);
  for (const spot of spots) {
    const where = `terminated at ${spot.says.slice(0, 80)}`;
    const terminate = async ({ backendPid }: PassingStatement) => {
      await scene.database.sql`select pg_terminate_backend(${backendPid}, 5000)`;
    };
    await disturb(scene, spot, 'before', terminate, async (url) => {
      expectHonest(await runCli(scene.words, { url, now: scene.now }), spot.phase, where);
    });
    await expectRecovery(scene, state, where);
  }
}

const WRITES = /^(create|alter|insert|update|delete|drop|lock|set|reset|with|vacuum|commit)\b/;

/** Kills the client at one statement of each kind that writes; its clock is the machine's. */
export async function surviveKills(scene: KillScene): Promise<void> {
  const { spots, state } = await rehearse(scene);
  for (const spot of spots.filter(({ text }) => WRITES.test(text))) {
    const where = `killed at ${spot.says.slice(0, 80)}`;
    let kill = () => {};
    await disturb(
      scene,
      spot,
      'after',
      () => kill(),
      async (url) => {
        const run = spawnCli(scene.words, { url });
        kill = () => run.kill('SIGKILL');
        expect((await run.ended).exitCode, where).toBeNull();
      },
    );
    await expectRecovery(scene, state, where);
  }
}

/** Where a run is when it is disturbed: at its work, at writing its end into the run log, or past it. */
type RunPhase = 'work' | 'log' | 'end';

/** A statement to be disturbed: which one of those that say the same. */
interface Spot {
  readonly text: string;
  /** What it says, see `teller`. */
  readonly says: string;
  readonly occurrence: number;
  readonly phase: RunPhase;
}

/** Runs the command once undisturbed; chooses one statement of each kind, and keeps the state that it leaves. */
async function rehearse(scene: KillScene) {
  await scene.reset();
  const proxy = await startProxy(scene.database.url);
  const { exitCode, stdout } = await runCli(scene.words, { url: proxy.url, now: scene.now });
  await proxy.close();
  expect([exitCode, stdout]).toEqual([0, expect.anything()]);
  const spots = chooseSpots(proxy.statements.filter(isOfRun), scene);
  expect(spots.length).toBeGreaterThan(5);
  return { spots, state: await scene.endState() };
}

/** How often somebody looks at who waits depends on how fast everybody is: those looks are left out. */
function isOfRun(text: string): boolean {
  return !text.includes('waitstart');
}

/** Tells where a run is at one of its statements: at its work, at writing its end into the run log, or past it. */
export function phaseOf(statements: readonly string[], at: number): RunPhase {
  const logEnd = statements.findLastIndex((text) =>
    text.startsWith('update "sensordb"."run_log" set "finished_at"'),
  );
  // Its transaction begins with two statements more, and ends with a commit.
  if (at > logEnd + 1) return 'end';
  return at < logEnd - 2 ? 'work' : 'log';
}

/**
 * Makes a function that is told the statements of a run one after the other, and tells what each of them says.
 *
 * What was made anew has another OID. A COMMIT says what it commits, by the statement before it: how many there are in
 * all is another number each time, since every look at who is in the way is a transaction.
 */
function teller(): (text: string) => string {
  let before = '';
  return (text) => {
    const spelled = text.replaceAll(/\d+/g, 'N');
    const says = text === 'commit' ? `commit of ${before}` : spelled;
    before = spelled;
    return says;
  };
}

function chooseSpots(statements: readonly string[], { kindWords, among }: KillScene): readonly Spot[] {
  const kindOf = (text = ''): string =>
    text
      .replaceAll(/^--.*$/gm, '')
      .trim()
      .split(/\s+/)
      .slice(0, kindWords)
      .join(' ');
  const seen = new Map<string, number>();
  const kinds = new Map<string, Spot>();
  const tell = teller();
  for (const [at, text] of statements.entries()) {
    const says = tell(text);
    const occurrence = (seen.get(says) ?? 0) + 1;
    seen.set(says, occurrence);
    const kind = text === 'commit' ? `commit of ${kindOf(statements[at - 1])}` : kindOf(text);
    if (!kinds.has(kind) && (among === undefined || among.test(says))) {
      kinds.set(kind, { text, says, occurrence, phase: phaseOf(statements, at) });
    }
  }
  return [...kinds.values()];
}

async function disturb(
  { reset, database }: KillScene,
  { says, occurrence }: Spot,
  when: 'before' | 'after',
  act: (statement: PassingStatement) => void | Promise<void>,
  work: (url: string) => Promise<void>,
): Promise<void> {
  await reset();
  const tell = teller();
  let seen = 0;
  let found: PassingStatement | null = null;
  const proxy = await startProxy(database.url, {
    before: async (statement) => {
      if (!isOfRun(statement.text) || tell(statement.text) !== says) return;
      seen += 1;
      if (seen !== occurrence) return;
      found = statement;
      if (when === 'before') await act(statement);
    },
    after: async (statement) => {
      if (statement === found && when === 'after') await act(statement);
    },
  });
  await work(proxy.url);
  await proxy.close();
  expect(found, `${says} came by`).not.toBeNull();
}

/** Expects a run that was disturbed to say so: by its exit code, or by a warning when all but the log was done. */
export function expectHonest(result: CliResult, phase: RunPhase, where: string): void {
  if (phase === 'end') return; // What is lost on the way out, when all is done, is no failure.
  const { exitCode, stdout, stderr, json } = result;
  if (phase === 'log') {
    expect(json(), where).toMatchObject({ ok: true, changed: true });
    expect(
      json().warnings.map(({ code }) => code),
      where,
    ).toContain('run_log_not_written');
    return;
  }
  expect([1, 4], where).toContain(exitCode);
  expect(stderr, where).not.toMatch(/\bat .*:\d+:\d+/);
  expect(stdout.trim().split('\n'), where).toHaveLength(1);
  expect(json(), where).toMatchObject({ ok: false, schemaVersion: 1 });
  expect(json().error?.code, where).toMatch(/^(connection_lost|server_unreachable|login_refused)$/);
}

async function expectRecovery(scene: KillScene, state: unknown, where: string): Promise<void> {
  const { exitCode, stdout } = await runCli([...scene.words, '--wait', '10s'], {
    url: scene.database.url,
    now: scene.now,
  });
  expect([exitCode, stdout], where).toEqual([0, expect.anything()]);
  expect(await scene.endState(), where).toEqual(state);
}
