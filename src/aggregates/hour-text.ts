import { BEGINNING, END, formatInstant, parseInstant } from '../time/instant.ts';

/**
 * Formats an instant that PostgreSQL printed as ISO 8601 UTC, also one that no Date can hold: `294276-12-31T23:00:00Z`.
 *
 * Infinite ones are instants that a reading can have, and stay `infinity` and `-infinity`.
 */
export function isoText(text: string): string {
  const instant = parseInstant(text);
  if (instant !== null && instant !== BEGINNING && instant !== END) return formatInstant(instant) ?? text;
  return text.replace(/^(\S+) (\S+)\+00$/, '$1T$2Z');
}
