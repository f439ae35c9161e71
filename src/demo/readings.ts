import type { DemoDevice, DeviceKind } from './devices.ts';
import { brokenClock, outageAt, planOutages, rightClock } from './mishaps.ts';
import { createRandom, deriveSeed } from './random.ts';
import { createSignal } from './signals.ts';

/** What readings are wanted; instants in milliseconds since 1970, `from` inclusive and `until` exclusive. */
export interface ReadingRequest {
  readonly devices: readonly DemoDevice[];
  /** Gives the id that a device has in the database. */
  readonly deviceId: (index: number) => number | string;
  readonly from: Date;
  readonly until: Date;
  readonly stepSeconds: number;
  readonly seed: number;
}

/** How many readings there were, and how many of them were odd. */
export interface ReadingSummary {
  readonly rows: number;
  /** Sent twice: the second of each pair. */
  readonly duplicates: number;
  /** Delivered days after they were taken. */
  readonly late: number;
  /** Dated decades off. */
  readonly brokenClock: number;
}

/** A stream of readings in the order in which they arrive. */
export interface ReadingStream {
  /** Text for `COPY … (device_id, "timestamp", value) FROM STDIN`, in whole lines, about 64 KiB at a time. */
  readonly chunks: Iterable<string>;
  /** Counts what the chunks taken so far held, and what devices still hold back. */
  readonly summary: () => ReadingSummary;
}

const CHUNK_CHARACTERS = 64 * 1024;
const DUPLICATE_SHARE = 0.004;
const RETIRED_AFTER = 0.7;
// Meters report twice as often as the others.
const REPORTS_PER_STEP: Readonly<Record<DeviceKind, number>> = {
  temperature: 1,
  humidity: 1,
  pressure: 1,
  power: 2,
  vibration: 1,
};

type Counts = { -readonly [Name in keyof ReadingSummary]: number };

/** Makes the readings of a span, the same for the same request: a year at 20-minute steps is 0.7 million. */
export function generateReadings(request: ReadingRequest): ReadingStream {
  const counts: Counts = { rows: 0, duplicates: 0, late: 0, brokenClock: 0 };
  return { chunks: { [Symbol.iterator]: () => chunks(request, counts) }, summary: () => ({ ...counts }) };
}

function* chunks(request: ReadingRequest, counts: Counts): Generator<string> {
  Object.assign(counts, { rows: 0, duplicates: 0, late: 0, brokenClock: 0 });
  const stepMs = request.stepSeconds * 1000;
  const until = request.until.getTime();
  const senders = request.devices.map((device, index) => createSender(request, device, index, counts));
  const slots = slotsOf(request, senders);
  let text = '';
  for (let step = request.from.getTime(); step < until; step += stepMs) {
    for (const { sender, offset } of slots) {
      if (step + offset < until) text += sender.report(step + offset);
      if (text.length >= CHUNK_CHARACTERS) {
        yield text;
        text = '';
      }
    }
  }
  text += senders.map((sender) => sender.deliver()).join('');
  if (text !== '') yield text;
}

interface Slot {
  readonly sender: Sender;
  /** When in a step it reports, in milliseconds. */
  readonly offset: number;
}

/** Spreads the reports over a step: devices that all send at the full hour are rare, and hide no disorder. */
function slotsOf(request: ReadingRequest, senders: readonly Sender[]): readonly Slot[] {
  const stepMs = request.stepSeconds * 1000;
  const slots = senders.flatMap((sender, index) => {
    const kind = request.devices[index]?.kind ?? 'temperature';
    const times = REPORTS_PER_STEP[kind];
    return Array.from({ length: times }, (_, turn) => ({
      sender,
      offset: Math.floor((stepMs * (turn + index / senders.length)) / times),
    }));
  });
  return slots.sort((one, other) => one.offset - other.offset);
}

interface Sender {
  /** Takes a reading, and gives what arrives because of it: nothing, it, or more. */
  readonly report: (at: number) => string;
  /** Gives what was held back. */
  readonly deliver: () => string;
}

function createSender(request: ReadingRequest, device: DemoDevice, index: number, counts: Counts): Sender {
  const random = createRandom(deriveSeed(request.seed, index));
  const [from, until] = [request.from.getTime(), request.until.getTime()];
  const outages = planOutages(from, until, random);
  const signal = createSignal(device, from, random);
  const broken = device.quirk === 'broken_clock';
  const clock = broken ? brokenClock(from, until, request.stepSeconds * 1000) : rightClock;
  const end = device.quirk === 'retired' ? from + (until - from) * RETIRED_AFTER : until;
  const id = request.deviceId(index);
  const digits = device.kind === 'vibration' ? 3 : 2;
  let held = '';
  let due = 0;
  const deliver = () => {
    const batch = held;
    held = '';
    return batch;
  };
  const report = (at: number) => {
    const value = signal(at);
    const outage = outageAt(outages, at);
    if (at >= end) return at >= due ? deliver() : '';
    if (outage !== null && outage.deliveredAt === null) return '';
    const shown = clock(at);
    const line = `${id}\t${new Date(shown).toISOString()}\t${value.toFixed(digits)}\n`;
    const copies = random() < DUPLICATE_SHARE ? 2 : 1;
    count(counts, copies, outage !== null, shown !== at);
    if (outage === null) return line.repeat(copies) + (at >= due ? deliver() : '');
    held += line.repeat(copies);
    due = Math.max(due, outage.deliveredAt ?? 0);
    return '';
  };
  return { report, deliver };
}

function count(counts: Counts, copies: number, late: boolean, wrongClock: boolean): void {
  counts.rows += copies;
  counts.duplicates += copies - 1;
  if (late) counts.late += copies;
  if (wrongClock) counts.brokenClock += copies;
}
