import { createInterface } from 'node:readline/promises';
import type { Context } from './context.ts';
import { write } from './output.ts';
import { printableLines } from './table.ts';

/** Tells whether somebody is there who can be asked: what is typed and what is shown both go to a terminal. */
export function canAsk({ stdin, stderr }: Context): boolean {
  return stdin.isTTY === true && stderr.isTTY === true;
}

/**
 * Asks a question on stderr that is answered by yes or no; whatever is not `y` or `yes`, and no answer, is a no.
 *
 * The terminal keeps its own line editing, so that Ctrl-C stays a SIGINT: then it rejects with the reason of the signal.
 */
export async function askYesOrNo(context: Context, question: string): Promise<boolean> {
  const { stdin, stderr, signal } = context;
  await write(stderr, `${printableLines(question)} [y/N] `);
  const lines = createInterface({ input: stdin, terminal: false });
  const isOver = new AbortController();
  lines.once('close', () => isOver.abort());
  try {
    // Left to itself a question is never answered when its input ends.
    const answer = await lines.question('', { signal: AbortSignal.any([signal, isOver.signal]) });
    return /^y(es)?$/i.test(answer.trim());
  } catch (thrown) {
    signal.throwIfAborted();
    if (!isOver.signal.aborted) throw thrown;
    await write(stderr, '\n');
    return false;
  } finally {
    lines.close();
  }
}
