import type { StatusView } from '../../aggregates/status-view.ts';
import { SQLSTATE, sqlstateOf } from '../../db/sqlstate.ts';
import { reading } from '../../db/transaction.ts';
import { readLocked } from '../locked.ts';
import type { Scene } from '../scene.ts';
import { readLag } from './lag.ts';
import { type PicturedTable, readPictures } from './pictures.ts';

/** A table with what is drawn of it. */
export interface Pictured {
  readonly table: PicturedTable;
  /** Null: no aggregates are kept of it. */
  readonly lag: StatusView | null;
}

const TRIES = 3;

/** Reads what the pictures of a page show; nothing where locks come up again and again, for the findings are what counts. */
export async function readPictured(base: Omit<Scene, 'locked'>): Promise<readonly Pictured[]> {
  const { session, now } = base;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const locked = await reading(session, () => readLocked(base));
    const scene = { ...base, locked: `{${locked.map(({ oid }) => oid).join()}}` };
    try {
      const pictured: Pictured[] = [];
      for (const table of await readPictures(scene)) {
        pictured.push({ table, lag: await readLag(session, table, now) });
      }
      return pictured;
    } catch (thrown) {
      if (sqlstateOf(thrown) !== SQLSTATE.lockNotAvailable) throw thrown;
    }
  }
  return [];
}
