import type { Context, OutputStream } from './context.ts';

type Paint = (text: string) => string;

/** The colours in use; chalk's names. */
type Paints = Readonly<Record<'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', Paint>>;

/** How text is dressed for one stream. */
export interface Style {
  readonly chalk: Paints;
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
export async function styleOf(stream: OutputStream, context: Context, colorAllowed: boolean): Promise<Style> {
  const { env } = context;
  const isTerminal = stream.isTTY === true;
  return {
    chalk: await paintsOf(colorLevel(env, isTerminal, colorAllowed)),
    isTerminal,
    // A terminal of unknown size says 0.
    columns: stream.columns || 100,
    unicode: /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || ''),
  };
}

const asIs: Paint = (text) => text;
const PLAIN: Paints = { bold: asIs, dim: asIs, red: asIs, green: asIs, yellow: asIs, cyan: asIs };

/** Without colour chalk is not even loaded: cron has no use for it, and it would take part of every start. */
async function paintsOf(level: 0 | 1 | 2 | 3): Promise<Paints> {
  if (level === 0) return PLAIN;
  const { Chalk } = await import('chalk');
  return new Chalk({ level });
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
