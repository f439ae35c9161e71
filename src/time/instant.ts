/**
 * An instant in microseconds since 1970-01-01T00:00:00Z, PostgreSQL's own resolution.
 *
 * A `Date` has milliseconds: a bound of 00:00:00.000001 would be rounded and leave a hole.
 */
export type Instant = bigint;

/** Stands for MINVALUE and -infinity: below every finite instant. */
export const BEGINNING: Instant = -(2n ** 63n);
/** Stands for MAXVALUE and infinity: above every finite instant. */
export const END: Instant = 2n ** 63n - 1n;

/** A half-open range `[lower, upper)` of instants; BEGINNING and END stand for no bound. */
export interface Range {
  readonly lower: Instant;
  readonly upper: Instant;
}

/** The types of partition key that sensordb manages; `timestamp` and `date` are taken as UTC. */
export type KeyType = 'timestamptz' | 'timestamp' | 'date';

const MICROS_PER_MILLI = 1000n;

/** Converts a `Date` (milliseconds, UTC) to an instant. */
export function fromDate(date: Date): Instant {
  return BigInt(date.getTime()) * MICROS_PER_MILLI;
}

/** Converts an instant to a `Date`, rounded down to the millisecond. */
export function toDate(instant: Instant): Date {
  const floor = instant >= 0n ? instant : instant - (MICROS_PER_MILLI - 1n);
  return new Date(Number(floor / MICROS_PER_MILLI));
}

/** Makes the instant of a UTC calendar date; `month` is 1 to 12 and may overflow into the next years. */
export function fromCivil(year: number, month: number, day: number): Instant {
  const date = new Date(0);
  // Date.UTC reads the years 0 to 99 as 1900 to 1999; setUTCFullYear does not.
  date.setUTCFullYear(year, month - 1, day);
  return fromDate(date);
}

const POSTGRES_TIMESTAMP =
  /^(\d{4,6})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?(?:Z|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?)?( BC)?$/;

/**
 * Reads a date or timestamp as PostgreSQL prints it under DateStyle ISO, or null if it is not one.
 *
 * Without an offset it is UTC. `infinity` and instants that a `Date` cannot hold (after the year 275760) become
 * END, `-infinity` becomes BEGINNING.
 */
export function parseInstant(text: string): Instant | null {
  if (text === 'infinity') return END;
  if (text === '-infinity') return BEGINNING;
  const match = POSTGRES_TIMESTAMP.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', sign, oh, om, os, bc] =
    match;
  const civilYear = bc === undefined ? Number(year) : 1 - Number(year);
  if (!isCivilDate(civilYear, Number(month), Number(day))) return null;
  if (Number(hour) > 24 || Number(minute) > 59 || Number(second) > 60) return null;
  const midnight = fromCivilOrNull(civilYear, Number(month), Number(day));
  if (midnight === null) return civilYear > 0 ? END : BEGINNING;
  const offset = (Number(oh ?? 0) * 60 + Number(om ?? 0)) * 60 + Number(os ?? 0);
  const seconds =
    (Number(hour) * 60 + Number(minute)) * 60 + Number(second) + (sign === '-' ? offset : -offset);
  return midnight + BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
}

function isCivilDate(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return day <= (days[month - 1] ?? 0);
}

function fromCivilOrNull(year: number, month: number, day: number): Instant | null {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return Number.isNaN(date.getTime()) ? null : fromDate(date);
}

function civilText(instant: Instant): { date: string; time: string; micros: bigint; bc: boolean } {
  const date = toDate(instant);
  const year = date.getUTCFullYear();
  const bc = year < 1;
  const shown = String(bc ? 1 - year : year).padStart(4, '0');
  const two = (n: number): string => String(n).padStart(2, '0');
  const micros = ((instant % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const fraction = micros === 0n ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`;
  return {
    date: `${shown}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`,
    time: `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}${fraction}`,
    micros,
    bc,
  };
}

/** Formats an instant as ISO 8601 UTC, `2026-01-01T00:00:00Z`; null for BEGINNING and END. */
export function formatInstant(instant: Instant): string | null {
  if (instant === BEGINNING || instant === END) return null;
  const year = toDate(instant).getUTCFullYear();
  const { date, time } = civilText(instant);
  // ISO 8601 writes years outside 0 to 9999 with a sign and six digits, and 1 BC as the year 0.
  const monthAndDay = date.slice(-6);
  const sign = year < 0 ? '-' : '+';
  const shownYear =
    year >= 0 && year <= 9999
      ? String(year).padStart(4, '0')
      : `${sign}${String(Math.abs(year)).padStart(6, '0')}`;
  return `${shownYear}${monthAndDay}T${time}Z`;
}

/** Formats an instant for people: the date alone when it is midnight UTC, else with the time. */
export function formatInstantShort(instant: Instant): string {
  const iso = formatInstant(instant);
  if (iso === null) return instant === END ? 'infinity' : '-infinity';
  return iso.endsWith('T00:00:00Z') ? iso.slice(0, -'T00:00:00Z'.length) : iso;
}

/**
 * Formats a finite instant as the text of a bound literal of the given key type.
 *
 * A timestamptz carries its offset, so the session's TimeZone cannot move it (a bare '2026-01-01' in a New York session
 * makes a bound of 05:00 UTC).
 */
export function formatBound(instant: Instant, keyType: KeyType): string {
  const { date, time, bc } = civilText(instant);
  const era = bc ? ' BC' : '';
  if (keyType === 'date') return `${date}${era}`;
  return `${date} ${time}${keyType === 'timestamptz' ? '+00' : ''}${era}`;
}
