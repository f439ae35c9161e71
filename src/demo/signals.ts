import type { Climate, DemoDevice, DeviceKind } from './devices.ts';
import { bell, between, type Random } from './random.ts';

/** Gives what a device measures at an instant; asked in the order of time. */
export type Signal = (at: number) => number;

interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** What a sensor of the kind can show at all. */
export const BOUNDS: Readonly<Record<DeviceKind, Bounds>> = {
  temperature: { low: -40, high: 60 },
  humidity: { low: 0, high: 100 },
  pressure: { low: 940, high: 1070 },
  power: { low: 0, high: 160 },
  vibration: { low: 0, high: 25 },
};

interface Moment {
  /** −1 in the middle of January, 1 in the middle of July. */
  readonly season: number;
  /** −1 at two in the morning, 1 at two in the afternoon. */
  readonly day: number;
  /** The part of the machines at work, 0 to 1. */
  readonly work: number;
  /** Days since the last maintenance, of 180. */
  readonly wear: number;
}

type Curve = (moment: Moment) => number;

const TEMPERATURE: Readonly<Record<Climate, Curve>> = {
  outdoor: ({ season, day }) => 10 + 9 * season + 4 * day,
  heated: ({ season, day, work }) => 19.5 + 1.5 * season + day + 1.5 * work,
  cold: ({ day, work }) => 4 + 0.3 * day + 0.8 * work,
};

const HUMIDITY: Readonly<Record<Climate, Curve>> = {
  outdoor: ({ season, day }) => 72 - 8 * season - 11 * day,
  heated: ({ season, day }) => 44 + 9 * season - 4 * day,
  cold: ({ work }) => 82 - 6 * work,
};

const CURVES: Readonly<Record<DeviceKind, Readonly<Record<Climate, Curve>>>> = {
  temperature: TEMPERATURE,
  humidity: HUMIDITY,
  pressure: everywhere(({ day }) => 1013 - 0.6 * day),
  power: {
    // Light at night, heating in winter, cooling in summer.
    outdoor: ({ day }) => 3 - 2.5 * day,
    heated: ({ season, work }) => 9 + 46 * work + 14 * Math.max(0, -season),
    cold: ({ season, day, work }) => 18 + 6 * season + 2 * day + 4 * work,
  },
  vibration: everywhere(({ work, wear }) => 0.3 + 2.4 * work + (1.6 * wear) / 180),
};

function everywhere(curve: Curve): Readonly<Record<Climate, Curve>> {
  return { outdoor: curve, heated: curve, cold: curve };
}

interface Noise {
  /** How much of the last deviation stays: weather keeps nearly all, a machine little. */
  readonly memory: number;
  readonly spread: number;
  /** How far the sensor may be off after a year. */
  readonly drift: number;
}

const NOISE: Readonly<Record<DeviceKind, Noise>> = {
  temperature: { memory: 0.97, spread: 0.3, drift: 0.4 },
  humidity: { memory: 0.97, spread: 0.9, drift: 1.5 },
  pressure: { memory: 0.998, spread: 0.45, drift: 0.8 },
  power: { memory: 0.6, spread: 1.1, drift: 0 },
  vibration: { memory: 0.4, spread: 0.12, drift: 0.1 },
};

const DAY_MS = 86_400_000;
const YEAR_MS = 365.25 * DAY_MS;
const MAINTENANCE_DAYS = 180;

/** Makes the curve of one device: the day and the season of its kind and place, noise with memory, and drift. */
export function createSignal(device: DemoDevice, from: number, random: Random): Signal {
  const curve = CURVES[device.kind][device.climate];
  const { memory, spread, drift } = NOISE[device.kind];
  const { low, high } = BOUNDS[device.kind];
  const bias = between(random, -drift, drift);
  const maintained = between(random, 0, MAINTENANCE_DAYS);
  let deviation = 0;
  return (at) => {
    deviation = memory * deviation + spread * bell(random);
    const value = curve(momentAt(at, maintained)) + deviation + (bias * (at - from)) / YEAR_MS;
    return Math.min(high, Math.max(low, value));
  };
}

function momentAt(at: number, maintained: number): Moment {
  const days = at / DAY_MS;
  const hour = (days % 1) * 24;
  const yearDay = (at % YEAR_MS) / DAY_MS;
  return {
    season: -Math.cos((2 * Math.PI * (yearDay - 15)) / 365.25),
    day: Math.cos((2 * Math.PI * (hour - 14)) / 24),
    work: workAt(hour, (Math.floor(days) + 4) % 7),
    wear: (days + maintained) % MAINTENANCE_DAYS,
  };
}

/** Machines run from six to ten in the evening, fewer at the ends and on Saturday, none on Sunday (day 0). */
function workAt(hour: number, weekday: number): number {
  if (weekday === 0) return 0;
  const ramp = Math.min(1, Math.max(0, Math.min(hour - 6, 22 - hour) / 1.5));
  return weekday === 6 ? ramp * 0.4 : ramp;
}
