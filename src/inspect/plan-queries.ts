import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { type Doubts, explainQuery, type Plans } from './explain-query.ts';
import type { Scene } from './scene.ts';
import type { Query } from './seen-queries.ts';

/** What planning a query came to. */
export interface PlannedQuery {
  readonly query: Query;
  /**
   * Its plan, or why there is none: `locked` and `late` are nothing of the query itself, for somebody held a lock in its way, or
   * the time for all of them was over.
   */
  readonly outcome:
    | ({ readonly kind: 'plan' } & Plans)
    | { readonly kind: 'problem'; readonly problem: string }
    | { readonly kind: 'locked' }
    | { readonly kind: 'late' };
}

/** Plans queries one after the other, in no more than so many seconds in all. */
export async function planQueries(
  { session, now }: Scene,
  queries: readonly Query[],
  seconds: number,
  isDoubtful: (query: Query) => Doubts['isDoubtful'],
): Promise<readonly PlannedQuery[]> {
  const end = performance.now() + seconds * 1000;
  const planned: PlannedQuery[] = [];
  for (const query of queries) {
    planned.push({ query, outcome: await planOne(query) });
  }
  return planned;

  async function planOne(query: Query): Promise<PlannedQuery['outcome']> {
    if (performance.now() >= end) return { kind: 'late' };
    try {
      const plan = await explainQuery(
        session,
        query,
        { now, isDoubtful: isDoubtful(query) },
        () => end - performance.now(),
      );
      return 'problem' in plan ? { kind: 'problem', ...plan } : { kind: 'plan', ...plan };
    } catch (thrown) {
      const code = sqlstateOf(thrown);
      if (session.signal.aborted) throw thrown;
      if (code === SQLSTATE.queryCanceled) return { kind: 'late' };
      if (code === SQLSTATE.lockNotAvailable) return { kind: 'locked' };
      throw thrown;
    }
  }
}
