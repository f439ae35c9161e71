import type { Session } from '../db/session.ts';
import { fromDate, type Instant } from '../time/instant.ts';

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
