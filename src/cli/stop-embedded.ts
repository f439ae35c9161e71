import type { EmbeddedServer } from '../db/embedded.ts';
import type { Context } from './context.ts';
import { type OutputOptions, write } from './output.ts';
import { styleOf } from './style.ts';

/** Stops a server that this process started, or says on stderr that it runs on. */
export async function stopEmbedded(
  server: EmbeddedServer,
  context: Context,
  options: OutputOptions,
): Promise<void> {
  const end = await server.stop();
  if (end === 'stopped' || !server.startedHere || options.quiet === true) return;
  const { chalk } = await styleOf(context.stderr, context, options.color !== false);
  const message = `PostgreSQL in ${server.dataDirectory} was left running: others are connected to it, or it does not answer.`;
  await write(context.stderr, `${chalk.yellow('warning:')} ${message}\n`);
}
