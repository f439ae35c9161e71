/**
 * What a fix does, in the order in which a script runs them: what frees others first, what only counts or cleans up last, and no
 * index is dropped before the one that replaces it stands.
 */
export const FIX_PHASES = [
  'session',
  'finalize',
  'partition',
  'repair',
  'create_index',
  'reindex',
  'drop_index',
  'setting',
  'vacuum',
  'analyze',
  'aggregate',
] as const;

export type FixPhase = (typeof FIX_PHASES)[number];

/** One statement, or one command of sensordb, that mends something. */
export interface Fix {
  readonly phase: FixPhase;
  readonly kind: 'sql' | 'command';
  /** Without a semicolon. */
  readonly text: string;
  /** A script runs it only for who says so. */
  readonly isIrreversible?: true;
  /** The index that it drops. */
  readonly drops?: DroppedIndex;
  /** The index that takes the place of what it drops, spelled alike: it has to stand afterwards. */
  readonly needs?: string;
  /** The table, at the very top, that it gives indexes; of its partitions it may attach those that it finds there. */
  readonly indexes?: string;
  /** The table that it makes a partition, which gives it the indexes of the parent. */
  readonly attaches?: string;
}

/** An index that a fix drops; names as SQL spells them. */
export interface DroppedIndex {
  /** Of one that is attached to that of a parent, the topmost. */
  readonly index: string;
  /** Its table, at the very top. */
  readonly rootTable: string;
  /** It belongs to a partition, and is attached to none. */
  readonly isOfPartition: boolean;
}

/** A fix by SQL that psql runs as it stands, outside of a transaction. */
export function sqlFix(phase: FixPhase, text: string): Fix {
  return { phase, kind: 'sql', text };
}

/** A fix by SQL that nothing brings back from: it ends or deletes what is somebody's, or changes rows. Its text says so everywhere. */
export function irreversibleFix(phase: FixPhase, text: string): Fix {
  return { ...sqlFix(phase, `${text} /* cannot be undone */`), isIrreversible: true };
}

/** Drops an index; `needs` is the one that takes its place. */
export function dropIndexFix(
  text: string,
  { index, rootTable, isOfPartition }: DroppedIndex,
  needs?: string,
): Fix {
  return {
    ...sqlFix('drop_index', text),
    drops: { index, rootTable, isOfPartition },
    ...(needs === undefined ? {} : { needs }),
  };
}

/** A fix by a command of sensordb, spelled for a shell. */
export function commandFix(phase: FixPhase, text: string): Fix {
  return { phase, kind: 'command', text };
}

/** Spells a word for a POSIX shell. */
export function shellWord(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
