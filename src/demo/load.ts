import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Conninfo } from '../db/conninfo/types.ts';
import { openSql } from '../db/open.ts';
import { generateDevices } from './devices.ts';
import { generateReadings, type ReadingSummary } from './readings.ts';

/** What was loaded, and how long it took. */
export interface LoadReport extends ReadingSummary {
  readonly devices: number;
  readonly seconds: number;
}

const STEP_SECONDS = 20 * 60;
const SEED = 20_260_101;

const INSERT_DEVICES = `
  insert into sensors_device (name, serial_number, kind, unit, location, metadata, is_active)
  select name, serial, kind, unit, location, metadata, active
    from jsonb_to_recordset($1::jsonb)
      as d (name text, serial text, kind text, unit text, location text, metadata jsonb, active boolean)
  returning id::text as id`;

const COPY_READINGS = 'copy sensors_sensorreading (device_id, "timestamp", value) from stdin';

/** Loads the demo's devices and a year of their readings; reports what goes by. */
export async function loadReadings(
  conninfo: Conninfo,
  range: { readonly from: Date; readonly until: Date },
  signal: AbortSignal,
  onRows: (rows: number) => void,
): Promise<LoadReport> {
  const start = performance.now();
  const open = await openSql(conninfo, { signal });
  try {
    const devices = generateDevices();
    const rows = devices.map(({ name, serialNumber, kind, unit, location, metadata, isActive }) => {
      return { name, serial: serialNumber, kind, unit, location, metadata, active: isActive };
    });
    const { rows: inserted } = await open.run<{ id: string }>(INSERT_DEVICES, [JSON.stringify(rows)], {
      signal,
    });
    const deviceId = (index: number): string => inserted[index]?.id ?? '';
    const readings = generateReadings({ devices, deviceId, ...range, stepSeconds: STEP_SECONDS, seed: SEED });
    const reported = function* () {
      for (const chunk of readings.chunks) {
        yield chunk;
        onRows(readings.summary().rows);
      }
    };
    await pipeline(Readable.from(reported()), await open.sql.unsafe(COPY_READINGS).writable(), { signal });
    // Autovacuum would get to it in a minute or so; the walk goes on at once.
    await open.run('analyze sensors_sensorreading', [], { signal });
    return { ...readings.summary(), devices: devices.length, seconds: (performance.now() - start) / 1000 };
  } finally {
    await open.close();
  }
}
