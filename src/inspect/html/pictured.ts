import type { StatusView } from '../../aggregates/status-view.ts';
import { SQLSTATE, sqlstateOf } from '../../db/sqlstate.ts';
import { lacksOwnTables } from '../aggregates.ts';
import { readLocked } from '../locked.ts';
import { explainMiss, looking } from '../looking.ts';
import type { Scene } from '../scene.ts';
import { readLag } from './lag.ts';
import { type PicturedTable, readIndexes, readTables } from './pictures.ts';

/** A table with what is drawn of it. */
export interface Pictured {
  /** Null: of none, or of all alike; then there are only lines. */
  readonly table: PicturedTable | null;
  /** Null: no aggregates are kept of it. */
  readonly lag: StatusView | null;
  /** Which pictures are left out because the server would not show what is in them, and why. */
  readonly missing: readonly string[];
}

/** Reads what the pictures of a page show; what the server refuses is said on the page, for the findings are what counts. */
export async function readPictured(base: Omit<Scene, 'locked'>): Promise<readonly Pictured[]> {
  const tables = await attempt(base, 'Coverage and sizes', readTables);
  const found = tables.seen ?? [];
  const nothing = { seen: null, missing: [] };
  const indexes = found.length === 0 ? nothing : await attempt(base, 'Index use', readIndexes);
  const pictured: Pictured[] = [];
  const hidden = lacksOwnTables(base);
  for (const table of found) {
    const lag =
      hidden === null ? await attempt(base, 'Aggregates', (scene) => readLag(scene, table)) : nothing;
    pictured.push({
      table: { ...table, indexes: (indexes.seen ?? []).filter((index) => index.table === table.qualified) },
      lag: lag.seen,
      missing: lag.missing,
    });
  }
  // What holds for all tables is said once.
  const missing = [
    ...tables.missing,
    ...indexes.missing,
    ...(hidden === null || found.length === 0 ? [] : [`Aggregates: could not be drawn. It needs ${hidden}.`]),
  ];
  return missing.length === 0 ? pictured : [...pictured, { table: null, lag: null, missing }];
}

/** What a look at the figures of a picture came to. */
interface Attempt<T> {
  readonly seen: T | null;
  readonly missing: readonly string[];
}

const TRIES = 3;

async function attempt<T>(
  base: Omit<Scene, 'locked'>,
  title: string,
  look: (scene: Scene) => Promise<T>,
): Promise<Attempt<T>> {
  const { session } = base;
  for (let tries = 1; ; tries += 1) {
    try {
      const locked = await looking(session, () => readLocked(base));
      const scene = { ...base, locked: `{${locked.map(({ oid }) => oid).join()}}` };
      return { seen: await looking(session, () => look(scene)), missing: [] };
    } catch (thrown) {
      if (sqlstateOf(thrown) === SQLSTATE.lockNotAvailable && tries < TRIES) continue;
      const why = explainMiss(session, thrown);
      if (why === null) throw thrown;
      return { seen: null, missing: [`${title}: could not be drawn. ${why}`] };
    }
  }
}
