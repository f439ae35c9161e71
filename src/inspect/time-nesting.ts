import { overlaps } from '../partitions/coverage.ts';
import { BEGINNING, END, type Range } from '../time/instant.ts';
import { clip, type TimeDefault, type TimeLeaf, type TimeTable } from './time-table.ts';

/** A table in the making. */
export type Draft = Omit<TimeTable, 'default' | 'leaves' | 'extent'> & {
  readonly via: number | null;
  readonly leaves: Omit<TimeLeaf, 'below'>[];
  default: TimeDefault | null;
};

/** Puts the tables into each other, with their extents; leaves out what is below a DEFAULT, where rows of any time may come. */
export function placed(drafts: ReadonlyMap<number, Draft>): readonly TimeTable[] {
  const tables: TimeTable[] = [];
  const build = ({ via: _, ...draft }: Draft, extent: Range, above: number | null): TimeTable => {
    const leaves = draft.leaves.map((leaf): TimeLeaf => {
      const child = drafts.get(leaf.oid);
      if (child === undefined || draft.key === null || child.key !== draft.key)
        return { ...leaf, below: null };
      return { ...leaf, below: build(child, clipped(leaf.range, extent), draft.oid) };
    });
    const table = { ...draft, leaves, extent, above };
    tables.push(table);
    return table;
  };
  for (const draft of drafts.values()) {
    const above = sameKeyAbove(drafts, draft);
    // What is a partition of it itself is built with it.
    if (above !== undefined && draft.via === draft.oid) continue;
    const extent = extentOf(drafts, draft);
    if (extent !== null) build(draft, extent, null);
  }
  return tables.toSorted((a, b) => (a.qualified < b.qualified ? -1 : 1));
}

/** Finds the next table of time above that is partitioned by the same column. */
function sameKeyAbove(drafts: ReadonlyMap<number, Draft>, { above, key }: Draft): Draft | undefined {
  const found = above === null ? undefined : drafts.get(above);
  return found?.key != null && found.key === key ? found : undefined;
}

/** Gives the range whose rows come to a table; null: it is below a DEFAULT. */
function extentOf(drafts: ReadonlyMap<number, Draft>, draft: Draft): Range | null {
  const above = sameKeyAbove(drafts, draft);
  if (above === undefined) return { lower: BEGINNING, upper: END };
  const leaf = above.leaves.find(({ oid }) => oid === draft.via);
  const extent = leaf === undefined ? null : extentOf(drafts, above);
  return leaf === undefined || extent === null ? null : clipped(leaf.range, extent);
}

function clipped(range: Range, to: Range): Range {
  return overlaps(range, to) ? clip(range, to) : range;
}
