import type { Context } from '../cli/context.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { Outcome } from '../cli/output.ts';
import { withSession } from '../cli/with-session.ts';
import { readPartitionedTable } from '../db/catalog.ts';
import { reading } from '../db/transaction.ts';
import { CHECKS } from './checks.ts';
import { explainOutcome } from './explain.ts';
import { chooseFormat } from './formats.ts';
import { readPictured } from './html/pictured.ts';
import { judge } from './judge.ts';
import { inOrder } from './order.ts';
import { type Report, reportData } from './report.ts';
import { failsAt, findCheck, type InspectOptions } from './request.ts';
import { inspect } from './run.ts';
import { schemaOutcome } from './schema.ts';
import { readSettings } from './settings.ts';

/** Runs `inspect`; it never writes, and waits for no lock. */
export async function inspectCommand(
  context: Context,
  options: InspectOptions,
  areas: readonly string[],
): Promise<Outcome> {
  if (options.printSchema === true) return schemaOutcome();
  if (options.explain !== undefined) return explainOutcome(findCheck(CHECKS, options.explain, '--explain'));
  const format = chooseFormat(options);
  const settings = await readSettings(context, options, areas, CHECKS);
  return await withSession(context, options, async ({ session, warnings }) => {
    const wanted = options.table;
    const table =
      wanted === undefined ? null : await reading(session, () => readPartitionedTable(session, wanted));
    const now = context.now();
    const inspected = await inspect(session, { ...settings, table, now });
    const pictured = format.isPictured === true ? await readPictured(inspected.base) : [];
    const { warnings: more, ...judged } = judge(inspected, settings, table, now);
    const report: Report = {
      database: session.server.database,
      versionNum: session.server.versionNum,
      table,
      now,
      ...judged,
      findings: inOrder(judged.findings),
      passed: inspected.passed,
      notYet: inspected.notYet,
      failOn: settings.failOn,
    };
    const failed = report.findings.some(({ severity }) => failsAt(report.failOn, severity));
    return {
      exitCode: format.exitCode?.(report) ?? (failed ? EXIT.no : EXIT.done),
      changed: false,
      data: reportData(report),
      warnings: [...warnings, ...more],
      error: null,
      isDocument: format.isDocument,
      render: (style) => format.render(style, report, pictured),
    };
  });
}
