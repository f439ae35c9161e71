const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Spells a size with three digits, in powers of 1024 as pg_size_pretty does. */
export function prettyBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${UNITS[power]}`;
}
