import { cutToBytes, NAME_BYTES } from '../partitions/names.ts';

/** A table as a statement names it. */
interface Named {
  /** Null: not said. */
  readonly schema: string | null;
  readonly name: string;
}

/** What an ALTER TABLE … DETACH PARTITION names. */
export interface DetachStatement {
  readonly parent: Named;
  readonly partition: Named;
}

interface Token {
  /** As PostgreSQL reads it: in lower case unless it is quoted, cut to 63 bytes. */
  readonly text: string;
  readonly isQuoted: boolean;
}

const TOKEN = /--[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"]|"")*"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\S/g;

/**
 * Reads a statement of pg_stat_activity as one that detaches a partition in two transactions, or finishes that; null: it is none.
 *
 * It stands alone: CONCURRENTLY refuses to run together with other statements (25001).
 */
export function readDetach(query: string): DetachStatement | null {
  const tokens = (query.match(TOKEN) ?? []).flatMap((text) => tokenOf(text) ?? []);
  const at = { place: 0 };
  if (!takes(tokens, at, 'alter') || !takes(tokens, at, 'table')) return null;
  if (takes(tokens, at, 'if') && !takes(tokens, at, 'exists')) return null;
  const parent = takeName(tokens, at);
  takes(tokens, at, '*');
  if (parent === null || !takes(tokens, at, 'detach') || !takes(tokens, at, 'partition')) return null;
  const partition = takeName(tokens, at);
  if (partition === null || !(takes(tokens, at, 'concurrently') || takes(tokens, at, 'finalize')))
    return null;
  return { parent, partition };
}

function tokenOf(text: string): Token | null {
  if (text.startsWith('--') || text.startsWith('/*')) return null;
  if (text.startsWith('"') && text.length > 1) {
    return { text: cutToBytes(text.slice(1, -1).replaceAll('""', '"'), NAME_BYTES), isQuoted: true };
  }
  // PostgreSQL folds no other letters in UTF-8.
  const folded = text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  return { text: cutToBytes(folded, NAME_BYTES), isQuoted: false };
}

function takes(tokens: readonly Token[], at: { place: number }, word: string): boolean {
  const token = tokens[at.place];
  if (token === undefined || token.isQuoted || token.text !== word) return false;
  at.place += 1;
  return true;
}

/** Takes a name with its schema, and a database before that, where they stand. */
function takeName(tokens: readonly Token[], at: { place: number }): Named | null {
  const parts: string[] = [];
  do {
    const token = tokens[at.place];
    if (token === undefined) return null;
    parts.push(token.text);
    at.place += 1;
  } while (takes(tokens, at, '.'));
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? '' };
}
