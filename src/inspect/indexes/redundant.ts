import type { CompleteIndex } from './complete.ts';

/** An index that another of the same table makes needless. */
export interface Redundant {
  readonly index: CompleteIndex;
  readonly by: CompleteIndex;
  /** Each could stand for the other; otherwise the other does more. */
  readonly isExact: boolean;
}

/** Finds the indexes of one table that others make needless, each once; pure. */
export function findRedundant(indexes: readonly CompleteIndex[]): readonly Redundant[] {
  const usable = indexes.filter(({ isValid, isExclusion }) => isValid && !isExclusion);
  return usable.flatMap((index): readonly Redundant[] => {
    if (index.isAttached || index.isReferenced || index.isIdentity) return [];
    const covering = usable.flatMap((by): readonly Redundant[] => {
      if (by === index || !covers(by, index)) return [];
      const isExact = covers(index, by);
      // A constraint says something even where an index is not needed: only one that says the same replaces it.
      if (isExact ? by.standing > index.standing : index.constraint !== null || isPreferred(index, by))
        return [];
      return [{ index, by, isExact }];
    });
    const best = covering.toSorted(
      (a, b) => Number(b.isExact) - Number(a.isExact) || a.by.keys.length - b.by.keys.length,
    );
    return best.slice(0, 1);
  });
}

/** Tells whether an index serves whatever the other serves. */
function covers(by: CompleteIndex, index: CompleteIndex): boolean {
  if (by.method !== index.method || by.predicate !== index.predicate) return false;
  const has = new Set([...by.columns, ...by.included]);
  if (!index.included.every((column) => has.has(column))) return false;
  if (index.isUnique) {
    const isSame = startsWith(by.keys, index.keys) && by.keys.length === index.keys.length;
    return isSame && by.isUnique && by.isImmediate && by.nullsNotDistinct === index.nullsNotDistinct;
  }
  if (index.method === 'btree') return startsWith(by.keys, index.keys);
  if (by.options.join() !== index.options.join()) return false;
  // Each column of a BRIN index is summarized for itself.
  if (index.method === 'brin') return index.keys.every((key) => by.keys.includes(key));
  return startsWith(by.keys, index.keys) && by.keys.length === index.keys.length;
}

function startsWith(keys: readonly string[], first: readonly string[]): boolean {
  return first.every((key, at) => keys[at] === key);
}

/** Queries use the narrower one, and nothing but queries would use the other: that one is to go, if any. */
function isPreferred(index: CompleteIndex, by: CompleteIndex): boolean {
  return index.scans > 0 && by.scans === 0 && !by.isUnique && !by.isIdentity && !by.isClustered;
}
