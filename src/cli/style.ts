import { Chalk, type ChalkInstance } from 'chalk';
import type { Context, OutputStream } from './context.ts';

/** How text is dressed for one stream. */
export interface Style {
  readonly chalk: ChalkInstance;
  /** Tables, bars and colours; false: plain tab-separated lines. */
  readonly isTerminal: boolean;
  /** Width in columns. */
  readonly columns: number;
  /** The terminal can show the block and line characters of Unicode. */
  readonly unicode: boolean;
}

/**
 * Decides how to dress a stream: `--no-color` before FORCE_COLOR before NO_COLOR before what the stream is.
 *
 * NO_COLOR counts when it is not empty (no-color.org); FORCE_COLOR=0 means none.
 */
export function styleOf(stream: OutputStream, context: Context, colorAllowed: boolean): Style {
  const { env } = context;
  const isTerminal = stream.isTTY === true;
  return {
    chalk: new Chalk({ level: colorLevel(env, isTerminal, colorAllowed) }),
    isTerminal,
    columns: stream.columns ?? 100,
    unicode: /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || ''),
  };
}

function colorLevel(env: Context['env'], isTerminal: boolean, allowed: boolean): 0 | 1 | 2 | 3 {
  if (!allowed) return 0;
  const forced = env.FORCE_COLOR;
  if (forced !== undefined) {
    if (forced === '0' || forced === 'false') return 0;
    return forced === '2' ? 2 : forced === '3' ? 3 : 1;
  }
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return 0;
  return isTerminal && env.TERM !== 'dumb' ? 1 : 0;
}
