/** Gives the next number of a sequence, in [0, 1). */
export type Random = () => number;

/** Makes the sequence of a seed (mulberry32): the same seed gives the same numbers on every machine. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Derives a seed for one of several independent sequences. */
export function deriveSeed(seed: number, index: number): number {
  return Math.floor(createRandom(seed ^ Math.imul(index + 1, 0x9e3779b1))() * 2 ** 32);
}

/** Draws a number between two others. */
export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random();
}

/** Draws from a bell curve around 0 with standard deviation 1, never beyond ±3.5. */
export function bell(random: Random): number {
  // Four uniform numbers have the variance 4/12: their sum, centred, times the root of three.
  return (random() + random() + random() + random() - 2) * Math.sqrt(3);
}
