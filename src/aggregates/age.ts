/** Says how long something is, given in seconds, in its two largest units. */
export function describeAge(seconds: number): string {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const;
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first === -1) return '0 s';
  let rest = seconds;
  return units
    .slice(first, first + 2)
    .map(([unit, size]) => {
      const count = Math.floor(rest / size);
      rest -= count * size;
      return count === 0 ? '' : `${count.toLocaleString('en-US')} ${unit}`;
    })
    .filter((part) => part !== '')
    .join(' ');
}
