import type { PartitionedTable } from '../db/catalog.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import { groupBy } from '../partitions/drift.ts';
import { readCapabilities } from './capabilities.ts';
import type { Check, Finding, Found, Look } from './check.ts';
import { type LockedTable, lockedFindings, readLocked } from './locked.ts';
import { explainMiss, looking } from './looking.ts';
import type { Scene } from './scene.ts';

/** What is to be looked at. */
export interface Inspection {
  readonly table: PartitionedTable | null;
  readonly checks: readonly Check[];
  readonly now: Date;
  /** By check and threshold, `index_bloat.warning_percent`, where the config file sets one. */
  readonly thresholds: ReadonlyMap<string, number>;
  readonly queries: readonly string[];
}

/** A check whose statistics are too young to judge by. */
export interface NotYet {
  readonly check: string;
  /** Null: nobody can say. */
  readonly ripeAt: Date | null;
  /** Absent: statistics that are old enough. */
  readonly needs?: string | undefined;
}

/** What an inspection came to. */
export interface Inspected {
  readonly findings: readonly Finding[];
  /** Looked, at all there is, and found nothing. */
  readonly passed: readonly string[];
  /** Lacked what it takes to see anything at all. */
  readonly blind: readonly string[];
  readonly notYet: readonly NotYet[];
  /** What the checks worked with, for whoever looks further. */
  readonly base: Omit<Scene, 'locked'>;
}

const TRIES = 3;

/** Runs the checks one after the other, each in a read-only transaction of its own; waits for no lock. */
export async function inspect(session: Session, inspection: Inspection): Promise<Inspected> {
  const capabilities = await reading(session, () => readCapabilities(session));
  const { table, now, queries } = inspection;
  const base = { session, now, capabilities, table, queries, threshold: noThreshold, once: remember() };
  const run: Run = { base, inspection, locked: new Map() };
  if (inspection.checks.some(({ opens }) => opens)) await listLocked(run);
  const looks: { readonly check: Check; readonly look: Look }[] = [];
  const blind: { readonly check: Check; readonly lacking: string }[] = [];
  for (const check of inspection.checks) {
    const lacking = check.lacks?.(sceneOf(run, check)) ?? null;
    if (lacking === null) looks.push({ check, look: await lookOf(run, check) });
    else blind.push({ check, lacking });
  }
  const opening = inspection.checks.filter(({ opens }) => opens).map(({ name }) => name);
  const hidden = lockedFindings([...run.locked.values()], opening);
  const isHidden = (check: Check): boolean => check.opens && hidden.length > 0;
  return {
    findings: [
      ...looks.flatMap(({ check, look }) =>
        look.found.map((found) => ({ check: check.name, area: check.area, ...found })),
      ),
      ...[...groupBy(blind, ({ lacking }) => lacking)].map(([lacking, those]) =>
        blindFinding(
          run,
          lacking,
          those.map(({ check }) => check),
        ),
      ),
      ...hidden,
      ...nothingPartitioned(run),
    ],
    blind: blind.map(({ check }) => check.name),
    passed: looks
      .filter(({ check, look }) => look.found.length === 0 && look.ripeAt === undefined && !isHidden(check))
      .map(({ check }) => check.name),
    notYet: looks.flatMap(({ check, look }) =>
      look.ripeAt === undefined ? [] : [{ check: check.name, ripeAt: look.ripeAt, needs: look.needs }],
    ),
    base,
  };
}

interface Run {
  readonly base: Omit<Scene, 'locked'>;
  readonly inspection: Inspection;
  /** Grows while the checks run: who locks a table in between hides it from those that follow. */
  readonly locked: Map<number, LockedTable>;
}

/** Remembers what was read, for this run. */
function remember(): Scene['once'] {
  const known = new Map<string, unknown>();
  return async <T>(what: string, read: () => Promise<T>): Promise<T> => {
    if (!known.has(what)) known.set(what, await read());
    return known.get(what) as T;
  };
}

function noThreshold(name: string): never {
  throw new Error(`Outside of a check there is no threshold ${name}.`);
}

async function listLocked({ base, locked }: Run): Promise<void> {
  for (const one of await reading(base.session, () => readLocked(base))) locked.set(one.oid, one);
}

function sceneOf({ base, inspection, locked }: Run, check: Check): Scene {
  return {
    ...base,
    locked: `{${[...locked.keys()].join()}}`,
    threshold: (name) => {
      const threshold = check.thresholds[name];
      if (threshold === undefined) throw new Error(`${check.name} has no threshold ${name}.`);
      return inspection.thresholds.get(`${check.name}.${name}`) ?? threshold.value;
    },
  };
}

async function lookOf(run: Run, check: Check): Promise<Look> {
  for (let attempt = 1; ; attempt += 1) {
    const scene = sceneOf(run, check);
    const { session } = scene;
    try {
      return await looking(session, () => check.look(scene));
    } catch (thrown) {
      const sqlstate = sqlstateOf(thrown);
      if (sqlstate === SQLSTATE.lockNotAvailable && attempt < TRIES) {
        await listLocked(run);
        continue;
      }
      const why = explainMiss(session, thrown);
      if (why === null) throw thrown;
      return { found: [unknown(run, why, { sqlstate })] };
    }
  }
}

/** Makes the one finding of all checks that lack the same, by the name of the first. */
function blindFinding(run: Run, needs: string, checks: readonly Check[]): Finding {
  const [first, ...others] = checks as [Check, ...Check[]];
  const names = others.map(({ name }) => name);
  const why = `${names.length === 0 ? '' : `Nor could ${names.join(' and ')}. `}It needs ${needs}.`;
  const found = unknown(run, why, { needs, checks: checks.map(({ name }) => name) });
  return { check: first.name, area: first.area, ...found };
}

/** A database without what the tool is for passes whatever is looked for: most often it is not the one that was meant. */
function nothingPartitioned({ base, inspection }: Run): readonly Finding[] {
  const isAsked = inspection.table === null && inspection.checks.some(({ area }) => area === 'partitions');
  if (!isAsked || base.capabilities.hasPartitionedTables) return [];
  return [
    {
      check: 'nothing_partitioned',
      area: 'partitions',
      severity: 'info',
      object: quoteIdentifier(base.session.server.database),
      message: 'No table of this database is partitioned: is it the one that was meant?',
      evidence: {},
      fixes: [],
    },
  ];
}

function unknown({ base }: Run, why: string, evidence: Found['evidence']): Found {
  const object = base.table?.qualified ?? quoteIdentifier(base.session.server.database);
  return { severity: 'unknown', object, message: `Could not be checked. ${why}`, evidence, fixes: [] };
}
