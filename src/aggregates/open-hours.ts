import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { type Counted, count, countRange, NOTHING, type Span, sum } from './count.ts';
import { counting, whileLeavesAreLocked } from './counting.ts';
import { formatHour } from './hours.ts';
import { openSpans, readLeaves } from './leaves.ts';
import { readRetired, withoutRanges } from './retired.ts';
import type { CountingScene } from './scene.ts';
import type { Source } from './source.ts';

/** Counts all from an hour on: what is written there stands in no log. */
export async function countOpen(
  { session, source, run }: CountingScene,
  { id, hour }: { readonly id: string; readonly hour: number },
): Promise<Counted> {
  const from = formatHour(hour);
  const spans = await whileLeavesAreLocked(session, source, run, () =>
    reading(session, () => readOpenSpans(session, source, from), run.budget.lockTimeoutMs),
  );
  let total = NOTHING;
  for (const span of spans) {
    const counted = await counting(session, source, id, run, async () => {
      let inSpan = NOTHING;
      for (const part of withoutRanges(span, await readRetired(session, id))) {
        inSpan = sum(
          inSpan,
          await count(session, source, part, (moments) => countRange(source, part, moments)),
        );
      }
      return inSpan;
    });
    total = sum(total, counted);
  }
  return total;
}

/** Lists the ranges to count from an instant on; none where there is nothing. */
export async function readOpenSpans(
  session: Session,
  source: Source,
  from: string,
): Promise<readonly Span[]> {
  return openSpans(from, await readLeaves(session, source));
}
