/** A source of numbers that a seed repeats. */
export interface Random {
  /** From 0 up to 1, exclusive. */
  readonly next: () => number;
  /** A whole number between two, both inclusive. */
  readonly between: (low: number, high: number) => number;
  readonly chance: (share: number) => boolean;
  readonly pick: <T>(of: readonly T[]) => T;
  /** Picks a word by weight. */
  readonly weighted: <K extends string>(weights: Readonly<Record<K, number>>) => K;
}

/** Makes one from a seed and the name of its user, so that users of one seed do not disturb each other (mulberry32). */
export function randomOf(seed: number, user: string): Random {
  let state = [...user].reduce((hash, char) => Math.imul(hash ^ char.charCodeAt(0), 16_777_619), seed | 0);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    between,
    chance: (share) => next() < share,
    pick: <T>(of: readonly T[]) => of[between(0, of.length - 1)] as T,
    weighted: <K extends string>(weights: Readonly<Record<K, number>>) => {
      const entries = Object.entries(weights) as [K, number][];
      let left = next() * entries.reduce((total, [, weight]) => total + weight, 0);
      for (const [word, weight] of entries) {
        left -= weight;
        if (left < 0) return word;
      }
      return (entries.at(-1) as [K, number])[0];
    },
  };
}
