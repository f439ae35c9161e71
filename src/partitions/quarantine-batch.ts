import { failure, SensordbError } from '../cli/errors.ts';
import { quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { explainServerError } from '../db/sqlstate.ts';
import type { Step } from '../db/step.ts';

/** The reason of a batch that was rolled back since fewer rows arrived than had left. */
const INCOMPLETE = 'quarantine_incomplete';

/**
 * Ends the statement that moves a batch, after its common table expressions `gone` and `moved`: counts, and refuses to lose.
 *
 * In SQL, so that the script of `--dry-run` is as safe as a run: sensordb.refuse ends the transaction.
 */
export function countMoved(object: string): string {
  const quoted = quoteLiteral(object);
  return `select m.count::float8 as moved,
       case when g.count <> m.count then sensordb.refuse('${INCOMPLETE}',
         format('Of %s rows only %s arrived in %s.', g.count, m.count, ${quoted}),
         'Nothing was moved. A trigger or a rule of that table turns rows away: remove it, or name another table.', ${quoted}) end as refused
  from (select count(*) from gone) g, (select count(*) from moved) m`;
}

/** Sends the statements that move one batch, within a transaction; gives how many rows were moved. */
export async function moveBatch(session: Session, steps: readonly Step[]): Promise<number> {
  let count = 0;
  for (const { title, sql, locks } of steps) {
    try {
      count += (await session.run<{ moved?: number }>(sql)).rows[0]?.moved ?? 0;
    } catch (thrown) {
      throw asFailure(explainServerError(thrown, title, locks.at(-1)?.relation));
    }
  }
  return count;
}

/** A refusal asks for consent; here there is none to give. */
function asFailure(thrown: unknown): unknown {
  if (!(thrown instanceof SensordbError) || thrown.facts.code !== INCOMPLETE) return thrown;
  const { message, hint, sqlstate, object } = thrown.facts;
  return failure(INCOMPLETE, message, {
    hint: hint ?? undefined,
    sqlstate: sqlstate ?? undefined,
    object: object ?? undefined,
    cause: thrown,
  });
}
