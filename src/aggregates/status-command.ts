import type { Context } from '../cli/context.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { withSession } from '../cli/with-session.ts';
import { reading } from '../db/transaction.ts';
import { formatInstant, type Instant, type Range } from '../time/instant.ts';
import { isoText } from './hour-text.ts';
import { readSource } from './source.ts';
import { readCoverage } from './status-coverage.ts';
import { type RunRow, readStatus, stateOf } from './status-read.ts';
import { renderStatus } from './status-render.ts';
import { parseMaxLag, type StatusOptions } from './status-request.ts';
import { type StatusView, viewStatus } from './status-view.ts';

/** Runs `aggregates status`; it never writes, and waits for no lock. */
export async function statusCommand(context: Context, options: StatusOptions): Promise<Outcome> {
  const maxLagSeconds = parseMaxLag(options);
  return await withSession(context, options, async ({ session, warnings }) => {
    const source = await reading(session, () => readSource(session, options.table));
    const facts = await readStatus(session, source);
    const coverage = await readCoverage(session, source);
    // As the gate: by this machine's clock or the server's, whichever is behind.
    const now = new Date(Math.min(context.now().getTime(), session.server.clockMs));
    const view = viewStatus({ source, facts, coverage, now, maxLagSeconds });
    return outcomeOf(view, warnings);
  });
}

function outcomeOf(view: StatusView, warnings: readonly Warning[]): Outcome {
  const { source, coverage, findings } = view;
  const unread = {
    code: 'coverage_not_read',
    message: `${source.aggregatesQualified} is locked, or may not be read: which hours it has is unknown.`,
  };
  return {
    exitCode: findings.length === 0 ? EXIT.done : EXIT.no,
    changed: false,
    data: dataOf(view),
    warnings: coverage === null ? [...warnings, unread] : warnings,
    error: null,
    render: (style) => renderStatus(style, view),
  };
}

function dataOf(view: StatusView) {
  const { source, setUp, dirtyHours, pendingHours, lagSeconds, skippedHours, coverage, runs, findings } =
    view;
  const hour = (text: string | null | undefined) => (text == null ? null : isoText(text));
  return {
    table: { schema: source.table.schema, name: source.table.name },
    setUp,
    cleanUntil: instantData(view.cleanUntil),
    lagSeconds,
    dirtyHours,
    pendingHours,
    pending: view.pending.map(({ reason, ...range }) => ({ ...rangeData(range), reason })),
    gate: instantData(view.gate),
    firstHour: hour(coverage?.first),
    lastHour: hour(coverage?.last),
    retired: view.retired.map(rangeData),
    skippedHours,
    lastRefresh: runData(runs, 'aggregates refresh'),
    lastBackfill: runData(runs, 'aggregates backfill'),
    retentionRefused: view.heldLeaves.map(({ name, lower, upper, reasons }) => ({
      name,
      lower: boundData(lower),
      upper: boundData(upper),
      reasons,
    })),
    findings,
  };
}

const instantData = (instant: Instant | null) => (instant === null ? null : formatInstant(instant));

const rangeData = ({ lower, upper }: Range) => ({ lower: formatInstant(lower), upper: formatInstant(upper) });

const boundData = (text: string) => (text.endsWith('infinity') ? null : isoText(text));

function runData(runs: readonly RunRow[], command: string) {
  const run = runs.find((one) => one.command === command);
  if (run === undefined) return null;
  const { startedAt, finishedAt, exitCode } = run;
  return {
    startedAt: isoText(startedAt),
    finishedAt: finishedAt === null ? null : isoText(finishedAt),
    exitCode,
    state: stateOf(run),
  };
}
