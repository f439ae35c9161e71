import { devNull } from 'node:os';
import { Writable } from 'node:stream';
import type { Context, OutputStream } from '../cli/context.ts';
import type { OutputOptions } from '../cli/output.ts';
import { type Style, styleOf } from '../cli/style.ts';

/** Where the walk is shown, and the world that its commands see. */
export interface Stage {
  readonly context: Context;
  readonly style: Style;
  /** What every command is given on top of what is shown of it. */
  readonly flags: readonly string[];
}

/**
 * Makes the world of the walk: its own database alone, whatever server the caller's environment names.
 *
 * With `--json` stdout is the envelope's, so the walk goes to stderr; `--quiet` shows none of it.
 */
export async function openStage(context: Context, options: OutputOptions, url: string): Promise<Stage> {
  const stdout = stdoutOf(context, options);
  const walk: Context = { ...context, stdout, env: walkEnvironment(context.env, url) };
  const style = await styleOf(stdout, walk, options.color !== false);
  const flags = [
    ...(options.quiet === true ? ['--quiet'] : []),
    ...(options.color === false ? ['--no-color'] : []),
  ];
  return { context: walk, style, flags };
}

function stdoutOf(context: Context, options: OutputOptions): OutputStream {
  if (options.quiet === true) return new Writable({ write: (_chunk, _encoding, done) => done() });
  return options.json === true ? context.stderr : context.stdout;
}

function walkEnvironment(env: Context['env'], url: string): Context['env'] {
  const kept = Object.entries(env).filter(([name]) => name !== 'DATABASE_URL' && !name.startsWith('PG'));
  // An empty config, whatever ./sensordb.yaml or the caller's environment says.
  return { ...Object.fromEntries(kept), SENSORDB_DATABASE_URL: url, SENSORDB_CONFIG: devNull };
}
