import { formatInstant, formatInstantShort, type Instant } from '../time/instant.ts';
import type { Runway } from './coverage.ts';

/** Shows a runway as the two keys of the JSON envelope. */
export function runwayData(runway: Runway) {
  return {
    runwayUntil: runway.state === 'until' ? formatInstant(runway.until) : null,
    runwayState: runway.state,
  };
}

const MICROS_PER_DAY = 86_400_000_000n;

/** Says in a sentence how long inserts at the present time find a partition, and what happens then. */
export function describeRunway(runway: Runway, now: Instant, hasDefault: boolean): string {
  const then = hasDefault ? 'rows go to DEFAULT' : 'inserts start to fail';
  switch (runway.state) {
    case 'unbounded':
      return 'Runway: unbounded, the last partition reaches to MAXVALUE.';
    case 'none':
      return `Runway: none. No partition covers the present: ${hasDefault ? 'rows go to DEFAULT' : 'inserts fail'} now.`;
    case 'until': {
      const days = (runway.until - now) / MICROS_PER_DAY;
      return `Runway: ${then} on ${formatInstantShort(runway.until)}, in ${days} ${days === 1n ? 'day' : 'days'}.`;
    }
  }
}
