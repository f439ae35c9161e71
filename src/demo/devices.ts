/** What a device measures. */
export type DeviceKind = 'temperature' | 'humidity' | 'pressure' | 'power' | 'vibration';

/** What the air is like where a device hangs. */
export type Climate = 'outdoor' | 'heated' | 'cold';

/** A device of the demo; all but `climate` and `quirk` are columns of its table. */
export interface DemoDevice {
  readonly name: string;
  readonly serialNumber: string;
  readonly kind: DeviceKind;
  readonly unit: string;
  readonly location: string;
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
  readonly isActive: boolean;
  readonly climate: Climate;
  /** `broken_clock` dates some readings decades off; `retired` stops sending before the end. */
  readonly quirk: 'broken_clock' | 'retired' | null;
}

const UNITS: Readonly<Record<DeviceKind, string>> = {
  temperature: '°C',
  humidity: '%',
  pressure: 'hPa',
  power: 'kW',
  vibration: 'mm/s',
};

const MODELS: Readonly<Record<DeviceKind, string>> = {
  temperature: 'PT-100',
  humidity: 'RH-40',
  pressure: 'BARO-2',
  power: 'METER-3P',
  vibration: 'ACC-8',
};

interface Site {
  readonly location: string;
  readonly climate: Climate;
  readonly kinds: readonly DeviceKind[];
}

const SITES: readonly Site[] = [
  { location: 'Roof', climate: 'outdoor', kinds: ['temperature', 'humidity', 'pressure'] },
  { location: 'Yard', climate: 'outdoor', kinds: ['temperature', 'humidity', 'pressure', 'power'] },
  {
    location: 'Hall A',
    climate: 'heated',
    kinds: ['temperature', 'humidity', 'power', 'vibration', 'vibration'],
  },
  {
    location: 'Hall B',
    climate: 'heated',
    kinds: ['temperature', 'humidity', 'power', 'vibration', 'vibration'],
  },
  { location: 'Laboratory', climate: 'heated', kinds: ['temperature', 'pressure', 'vibration'] },
  { location: 'Cold store', climate: 'cold', kinds: ['temperature', 'temperature', 'humidity', 'power'] },
];

const BROKEN_CLOCK = 16;
const RETIRED = 11;

/** Lists the devices of the demo, the same at every call. */
export function generateDevices(): readonly DemoDevice[] {
  const places = SITES.flatMap((site) => site.kinds.map((kind) => ({ site, kind })));
  return places.map(({ site, kind }, index) => {
    const same = places.slice(0, index).filter((place) => place.site === site && place.kind === kind).length;
    return {
      name: `${site.location} ${kind} ${same + 1}`,
      serialNumber: `SN-${MODELS[kind]}-${String(1000 + index * 7)}`,
      kind,
      unit: UNITS[kind],
      location: site.location,
      metadata: {
        model: MODELS[kind],
        firmware: `2.${index % 4}.${index % 3}`,
        outdoor: site.climate === 'outdoor',
        calibrationYear: 2021 + (index % 4),
      },
      isActive: index !== RETIRED,
      climate: site.climate,
      quirk: index === BROKEN_CLOCK ? 'broken_clock' : index === RETIRED ? 'retired' : null,
    };
  });
}
