import type { Context } from '../cli/context.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { Outcome } from '../cli/output.ts';
import { withSession } from '../cli/with-session.ts';
import { readPartitionedTable } from '../db/catalog.ts';
import { reading } from '../db/transaction.ts';
import { CHECKS } from './checks.ts';
import { explainOutcome } from './explain.ts';
import { chooseFormat } from './formats.ts';
import { inOrder } from './order.ts';
import { type Report, reportData } from './report.ts';
import { chooseChecks, failsAt, findCheck, type InspectOptions, parseFailOn } from './request.ts';
import { inspect } from './run.ts';

/** Runs `inspect`; it never writes, and waits for no lock. */
export async function inspectCommand(
  context: Context,
  options: InspectOptions,
  areas: readonly string[],
): Promise<Outcome> {
  if (options.explain !== undefined) return explainOutcome(findCheck(CHECKS, options.explain, '--explain'));
  const checks = chooseChecks(CHECKS, options, areas);
  const failOn = parseFailOn(options.failOn);
  const format = chooseFormat(options);
  return await withSession(context, options, async ({ session, warnings }) => {
    const wanted = options.table;
    const table =
      wanted === undefined ? null : await reading(session, () => readPartitionedTable(session, wanted));
    const now = context.now();
    const { findings, passed, notYet } = await inspect(session, {
      table,
      checks,
      now,
      thresholds: new Map(),
      queries: [],
    });
    const { server } = session;
    const report: Report = {
      database: server.database,
      versionNum: server.versionNum,
      table,
      now,
      findings: inOrder(findings),
      passed,
      notYet,
      failOn,
    };
    const failed = findings.some(({ severity }) => failsAt(failOn, severity));
    return {
      exitCode: format.exitCode?.(report) ?? (failed ? EXIT.no : EXIT.done),
      changed: false,
      data: reportData(report),
      warnings,
      error: null,
      isDocument: format.isDocument,
      render: (style) => format.render(style, report),
    };
  });
}
