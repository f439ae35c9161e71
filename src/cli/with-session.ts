import { describeConninfo } from '../db/conninfo/describe.ts';
import { resolveConninfo } from '../db/conninfo/resolve.ts';
import type { Conninfo } from '../db/conninfo/types.ts';
import { embeddedConninfo } from '../db/embedded/conninfo.ts';
import { connect, type Session } from '../db/session.ts';
import type { Context } from './context.ts';
import { failure } from './errors.ts';
import type { GlobalOptions } from './options.ts';
import { WarnedError, type Warning } from './output.ts';
import { startProgress } from './progress.ts';
import { stopEmbedded } from './stop-embedded.ts';
import { printableLines } from './table.ts';

/** What a command works with once it is connected. */
export interface Connected {
  readonly session: Session;
  /** What is to be told besides the outcome: of the settings, and of a clock that is off. */
  readonly warnings: readonly Warning[];
}

const OLDEST_SERVER = 140_000;

/**
 * Connects as the options and the environment say, and closes the connection after the work.
 *
 * Throws usage errors for unreadable settings (exit 2), connection errors (exit 4).
 */
export async function withSession<T>(
  context: Context,
  options: GlobalOptions,
  work: (connected: Connected) => Promise<T>,
): Promise<T> {
  if (options.embedded === undefined) {
    const conninfo = resolveConninfo({ url: options.url, env: context.env });
    return await withConninfo(context, options, conninfo, work);
  }
  const { startEmbedded } = await import('../db/embedded.ts');
  const directory = options.embedded === true ? undefined : options.embedded;
  const server = await withProgress(context, options, 'Starting PostgreSQL', (onStep) =>
    startEmbedded({ directory, signal: context.signal, onStep }),
  );
  try {
    return await withConninfo(context, options, embeddedConninfo(server), work);
  } finally {
    await stopEmbedded(server, context, options);
  }
}

async function withProgress<T>(
  context: Context,
  options: GlobalOptions,
  text: string,
  work: (update: (text: string) => void) => Promise<T>,
): Promise<T> {
  const progress = await startProgress(text, options, context);
  try {
    return await work(progress.update);
  } finally {
    progress.stop();
  }
}

async function withConninfo<T>(
  context: Context,
  options: GlobalOptions,
  conninfo: Conninfo,
  work: (connected: Connected) => Promise<T>,
): Promise<T> {
  const early = settingsWarnings(conninfo);
  const session = await connect(conninfo, {
    signal: context.signal,
    onNotice: ({ severity, message }) => {
      // NOTICE and below say what was expected; a WARNING never is.
      if (severity === 'WARNING' && options.quiet !== true) {
        context.stderr.write(`server warning: ${printableLines(message ?? '')}\n`);
      }
    },
  }).catch((thrown) => {
    throw withWarnings(thrown, early);
  });
  const warnings = [...early, ...clockWarnings(context, session)];
  try {
    requireSupported(session, conninfo);
    return await work({ session, warnings });
  } catch (thrown) {
    throw withWarnings(thrown, warnings);
  } finally {
    await session.close();
  }
}

function withWarnings(thrown: unknown, warnings: readonly Warning[]): unknown {
  return warnings.length === 0 ? thrown : new WarnedError(thrown, warnings);
}

function requireSupported({ server }: Session, conninfo: Conninfo): void {
  if (server.versionNum >= OLDEST_SERVER) return;
  throw failure('unsupported_server', `The server is PostgreSQL ${Math.floor(server.versionNum / 10_000)}.`, {
    object: describeConninfo(conninfo),
    hint: 'sensordb works with PostgreSQL 14 and newer.',
  });
}

function settingsWarnings(conninfo: Conninfo): readonly Warning[] {
  const warnings = conninfo.warnings.map((message) => ({ code: 'connection_settings', message }));
  if (conninfo.passwordSource !== '--url') return warnings;
  const message =
    'A password in --url is on show in the process list: use PGPASSWORD, .pgpass or SENSORDB_DATABASE_URL.';
  return [...warnings, { code: 'password_in_arguments', message }];
}

/** Beyond this the month that a run thinks it is may be another than the writers'. */
const CLOCK_TOLERANCE_MS = 60_000;

function clockWarnings(context: Context, session: Session): readonly Warning[] {
  const skew = context.now().getTime() - session.server.clockMs;
  if (Math.abs(skew) <= CLOCK_TOLERANCE_MS) return [];
  const seconds = Math.round(Math.abs(skew) / 1000);
  const message = `This machine's clock is ${seconds} s ${skew > 0 ? 'ahead of' : 'behind'} the server's; periods are planned by this machine's.`;
  return [{ code: 'clock_skew', message }];
}
