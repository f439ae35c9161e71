import { describe, expect, test } from 'vitest';
import { type DemoDevice, generateDevices } from '../../src/demo/devices.ts';
import { generateReadings, type ReadingRequest } from '../../src/demo/readings.ts';
import { BOUNDS } from '../../src/demo/signals.ts';

const devices = generateDevices();
const YEAR: ReadingRequest = {
  devices,
  deviceId: (index) => index + 100,
  from: new Date('2025-01-01T00:00:00Z'),
  until: new Date('2026-01-01T00:00:00Z'),
  stepSeconds: 1200,
  seed: 42,
};
const MONTH: ReadingRequest = { ...YEAR, until: new Date('2025-02-01T00:00:00Z') };
const HOUR_MS = 3_600_000;

interface Reading {
  readonly device: DemoDevice;
  readonly index: number;
  readonly at: number;
  readonly value: number;
}

function parse(line: string): Reading {
  const [id = '', instant = '', value = ''] = line.split('\t');
  const index = Number(id) - 100;
  const device = devices[index];
  if (device === undefined) throw new Error(`No such device: ${line}`);
  return { device, index, at: Date.parse(instant), value: Number(value) };
}

function take(request: ReadingRequest) {
  const stream = generateReadings(request);
  const chunks = [...stream.chunks];
  const lines = chunks.join('').trimEnd().split('\n');
  return { chunks, lines, readings: lines.map(parse), summary: stream.summary() };
}

const year = take(YEAR);
const inYear = ({ at }: Reading) => at >= YEAR.from.getTime() && at < YEAR.until.getTime();

function mean(of: readonly Reading[]): number {
  return of.reduce((sum, { value }) => sum + value, 0) / of.length;
}

describe('the devices', () => {
  test('are 24 of five kinds in several places, each with a serial number of its own', () => {
    expect(devices).toHaveLength(24);
    expect(new Set(devices.map((device) => device.kind)).size).toBe(5);
    expect(new Set(devices.map((device) => device.location)).size).toBeGreaterThan(4);
    expect(new Set(devices.map((device) => device.serialNumber)).size).toBe(24);
    expect(new Set(devices.map((device) => device.name)).size).toBe(24);
    expect(generateDevices()).toEqual(devices);
  });

  test('have one that was taken out of service and one with a broken clock', () => {
    expect(devices.filter((device) => !device.isActive).map((device) => device.quirk)).toEqual(['retired']);
    expect(devices.filter((device) => device.quirk === 'broken_clock')).toHaveLength(1);
  });
});

describe('the readings of a year', () => {
  test('are about 700,000, counted as they are', () => {
    expect(year.summary.rows).toBe(year.lines.length);
    expect(year.summary.rows).toBeGreaterThan(650_000);
    expect(year.summary.rows).toBeLessThan(750_000);
    expect(new Set(year.readings.map(({ index }) => index)).size).toBe(24);
  });

  test('are lines for COPY: an id, an instant in UTC, a number', () => {
    const odd = year.lines.filter(
      (line) => !/^\d+\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t-?\d+\.\d+$/.test(line),
    );
    expect(odd).toEqual([]);
  });

  test('come in chunks of whole lines of about 64 KiB', () => {
    expect(year.chunks.every((chunk) => chunk.endsWith('\n'))).toBe(true);
    expect(year.chunks.slice(0, -1).every((chunk) => chunk.length >= 65_536)).toBe(true);
    expect(year.chunks.length).toBeGreaterThan(100);
  });

  test('stay within what their sensor can show', () => {
    const outside = year.readings.filter(
      ({ device, value }) => value < BOUNDS[device.kind].low || value > BOUNDS[device.kind].high,
    );
    expect(outside).toEqual([]);
  });

  test('are seldom cut off at what the sensor can show', () => {
    const cut = year.readings.filter(
      ({ device, value }) =>
        device.kind !== 'power' && (value === BOUNDS[device.kind].low || value === BOUNDS[device.kind].high),
    );
    expect(cut.length).toBeLessThan(year.summary.rows / 100);
  });

  test('follow the season and the day outdoors', () => {
    const outdoor = year.readings.filter(
      (reading) =>
        inYear(reading) && reading.device.kind === 'temperature' && reading.device.climate === 'outdoor',
    );
    const month = (wanted: number) => outdoor.filter(({ at }) => new Date(at).getUTCMonth() === wanted);
    const hour = (wanted: number) => outdoor.filter(({ at }) => new Date(at).getUTCHours() === wanted);
    expect(mean(month(6)) - mean(month(0))).toBeGreaterThan(12);
    expect(mean(hour(14)) - mean(hour(2))).toBeGreaterThan(5);
  });

  test('show machines at rest on Sunday', () => {
    const vibration = year.readings.filter(
      (reading) => inYear(reading) && reading.device.kind === 'vibration',
    );
    const noon = vibration.filter(({ at }) => new Date(at).getUTCHours() === 12);
    const on = (weekday: number) => noon.filter(({ at }) => new Date(at).getUTCDay() === weekday);
    expect(mean(on(2))).toBeGreaterThan(2 * mean(on(0)));
  });
});

describe('what goes wrong', () => {
  test('leaves gaps of hours to days', () => {
    const one = year.readings.filter((reading) => reading.index === 0 && inYear(reading));
    const instants = one.map(({ at }) => at).sort((a, b) => a - b);
    const gaps = instants.slice(1).map((at, index) => at - (instants[index] ?? at));
    expect(gaps.filter((gap) => gap > 2 * HOUR_MS).length).toBeGreaterThanOrEqual(3);
    expect(Math.max(...gaps)).toBeLessThan(12 * 24 * HOUR_MS);
  });

  test('sends some readings twice, at the same instant', () => {
    expect(year.lines.length - new Set(year.lines).size).toBe(year.summary.duplicates);
    expect(year.summary.duplicates).toBeGreaterThan(1000);
  });

  test('delivers batches days late, and all else in the order of time', () => {
    let latest = 0;
    let late = 0;
    let oldest = 0;
    for (const reading of year.readings.filter(inYear)) {
      if (reading.at < latest) late += 1;
      oldest = Math.max(oldest, latest - reading.at);
      latest = Math.max(latest, reading.at);
    }
    // What the broken clock's device holds back is dated wrongly too, and so not in the year.
    expect(Math.abs(late - year.summary.late)).toBeLessThanOrEqual(year.summary.brokenClock);
    expect(year.summary.late).toBeGreaterThan(5000);
    expect(oldest).toBeGreaterThan(2 * 24 * HOUR_MS);
  });

  test('dates some readings of one device 1970-01-01 and some 2098, and no others outside the span', () => {
    const outside = year.readings.filter((reading) => !inYear(reading));
    expect(new Set(outside.map(({ device }) => device.quirk))).toEqual(new Set(['broken_clock']));
    expect(outside).toHaveLength(year.summary.brokenClock);
    const days = new Set(outside.map(({ at }) => new Date(at).toISOString().slice(0, 10)));
    expect([...days].sort()).toEqual(['1970-01-01', '2098-06-15']);
  });

  test('has the retired device fall silent', () => {
    const last = year.readings.findLast(({ device }) => device.quirk === 'retired')?.at ?? 0;
    expect(new Date(last).toISOString().slice(0, 7)).toBe('2025-09');
  });
});

describe('a seed', () => {
  test('gives the same readings every time, also of one stream', () => {
    const stream = generateReadings(MONTH);
    const [first, again] = [[...stream.chunks].join(''), [...stream.chunks].join('')];
    expect(again).toBe(first);
    expect(take(MONTH).chunks.join('')).toBe(first);
    expect(stream.summary()).toEqual(take(MONTH).summary);
  });

  test('gives others than another seed', () => {
    expect(take({ ...MONTH, seed: 43 }).lines.slice(0, 100)).not.toEqual(take(MONTH).lines.slice(0, 100));
  });

  test('makes a short span with every mishap but chance ones', () => {
    const { summary, readings } = take(MONTH);
    expect(summary.brokenClock).toBeGreaterThan(10);
    const until = MONTH.until.getTime();
    expect(readings.filter(({ at }) => at >= until && at < Date.UTC(2098, 0))).toEqual([]);
  });
});
