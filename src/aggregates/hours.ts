import type { Session } from '../db/session.ts';
import { fromDate, type Instant } from '../time/instant.ts';

/** The microseconds of an hour. */
export const HOUR = 3_600_000_000n;

/** Milliseconds of an hour. */
const HOUR_MS = 3_600_000;

/**
 * Gives the hour that is not over yet, in whole hours since 1970: by this machine's clock or the server's, whichever is behind.
 */
export function currentHour(now: Date, { server }: Session): number {
  return Math.floor(Math.min(now.getTime(), server.clockMs) / HOUR_MS);
}

/** Formats an hour as `2026-01-01T00:00:00Z`. */
export function formatHour(hour: number): string {
  return `${new Date(hour * HOUR_MS).toISOString().slice(0, 19)}Z`;
}

/** Gives the instant at which an hour begins. */
export function toInstant(hour: number): Instant {
  return fromDate(new Date(hour * HOUR_MS));
}

/** Gives the whole hour at or before a finite instant, also before 1970. */
export function floorHour(instant: Instant): Instant {
  const rest = ((instant % HOUR) + HOUR) % HOUR;
  return instant - rest;
}

/** Gives the whole hour at or after a finite instant. */
export function ceilHour(instant: Instant): Instant {
  return -floorHour(-instant);
}
