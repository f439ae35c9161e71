import { sqlStatement } from '../db/sql-files.ts';
import { reading } from '../db/transaction.ts';
import { type Counted, count, countHours, type DeviceHour, NOTHING, sum } from './count.ts';
import { counting } from './counting.ts';
import { groupByLeaf, type ReadingsLeaf, readLeaves } from './leaves.ts';
import type { CountingScene } from './scene.ts';
import { shortenLog } from './short-log.ts';

/** How many device-hours are taken off the log in one transaction. */
const HOURS_A_BATCH = 5000;

/** The most leaves whose locks one transaction gathers: with three indexes each they are a third of the 6,400 of default settings. */
const LEAVES_A_BATCH = 500;

/** Says how many device-hours are taken off the log in one transaction, so that it cannot reach into too many leaves; pure. */
export function hoursABatch(leaves: readonly ReadingsLeaf[]): number {
  const relations = leaves.reduce((total, leaf) => total + leaf.relations.length, 0);
  return relations > LEAVES_A_BATCH ? LEAVES_A_BATCH : HOURS_A_BATCH;
}

/** Makes the statement that takes a batch of device-hours off the log. */
export function takeStatement(id: string, limit: number): string {
  return sqlStatement('aggregates/take_changes.sql', { source: id, limit: String(limit) });
}

interface TakenRow extends DeviceHour {
  readonly is_frozen: boolean;
}

/** Counts the device-hours that the log names, batch by batch, until it is empty. */
export async function countChanges(
  { session, source, run, begin, update }: CountingScene,
  id: string,
): Promise<Counted & { readonly skipped: number }> {
  const limit = hoursABatch(await reading(session, () => readLeaves(session, source)));
  let total = NOTHING;
  let skipped = 0;
  for (;;) {
    update(`Counting ${source.table.name}: ${total.counted} device-hours that changed`);
    await begin();
    const batch = await counting(session, source, id, run, async () => {
      const { rows } = await session.run<TakenRow>(takeStatement(id, limit));
      const groups = groupByLeaf(
        rows.filter(({ is_frozen }) => !is_frozen),
        await readLeaves(session, source),
      );
      let counted = NOTHING;
      for (const { hours, span } of groups) {
        counted = sum(
          counted,
          await count(session, source, span, (moments) => countHours(source, hours, span, moments)),
        );
      }
      return { counted, taken: rows.length, skipped: rows.filter(({ is_frozen }) => is_frozen).length };
    });
    total = sum(total, batch.counted);
    skipped += batch.skipped;
    if (batch.taken < limit) break;
  }
  await shortenLog(session);
  return { ...total, skipped };
}
