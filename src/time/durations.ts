import { usageError } from '../cli/errors.ts';
import { fromCivil, type Instant, parseInstant } from './instant.ts';

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Reads a duration such as `200ms`, `30s`, `5min`, `2h` or `1d`, in milliseconds.
 *
 * A bare number is refused: people read it as seconds, PostgreSQL reads it as milliseconds.
 */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|min|h|d)$/.exec(text.trim());
  const unit = MILLISECONDS[match?.[2] ?? ''];
  const milliseconds = Number(match?.[1]) * (unit ?? Number.NaN);
  // PostgreSQL keeps its timeouts in an int of milliseconds.
  if (!Number.isFinite(milliseconds) || milliseconds > 2_147_483_647) {
    throw usageError('bad_duration', `${option} ${JSON.stringify(text)} is not a duration.`, {
      hint: `Give a number with a unit (ms, s, min, h, d), such as ${option} 500ms or ${option} 2min, of at most 24d.`,
      object: option,
    });
  }
  return Math.round(milliseconds);
}

/**
 * Reads a date or instant that a user types: `2027`, `2027-01`, `2027-01-31`, `2027-01-31T06:00:00Z`.
 *
 * What has no offset is UTC. Years run from 1 to 9999.
 */
export function parseUserInstant(text: string, option: string): Instant {
  const month = /^(\d{4})(?:-(\d\d))?$/.exec(text.trim());
  const instant =
    month === null ? parseInstant(text.trim()) : parseInstant(`${month[1]}-${month[2] ?? '01'}-01`);
  if (instant === null || instant < fromCivil(1, 1, 1) || instant >= fromCivil(10_000, 1, 1)) {
    throw usageError('bad_date', `${option} ${JSON.stringify(text)} is not a date.`, {
      hint: `Give a UTC date such as ${option} 2027-01-01, or an instant such as ${option} 2027-01-01T06:00:00Z.`,
      object: option,
    });
  }
  return instant;
}
