import type { Context } from '../cli/context.ts';
import { EXIT, type ExitCode, worstExitCode } from '../cli/exit-codes.ts';
import { budgetOf } from '../cli/options.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import { withSession } from '../cli/with-session.ts';
import { readPartitionedTable } from '../db/catalog.ts';
import { reading } from '../db/transaction.ts';
import { changePartitions, type Scene } from './change.ts';
import type { Drift } from './drift.ts';
import { runRepair } from './repair.ts';
import { type PreparedRepair, prepareRepair } from './repair-prepare.ts';
import { renderRepair } from './repair-render.ts';
import { parseRepairRequest, type RepairOptions, type RepairRequest } from './repair-request.ts';
import type { RepairResult } from './repair-result.ts';
import { requireRights, requireSafePath } from './repair-rights.ts';

/** Runs `partitions repair`. */
export async function repairCommand(
  context: Context,
  names: readonly string[],
  options: RepairOptions,
): Promise<Outcome> {
  const request = parseRepairRequest(names, options);
  if (options.check === true) return await check(context, options, request);
  const { only, skip } = options;
  return await changePartitions<PreparedRepair>(context, options, {
    command: 'partitions repair',
    arguments: { names, only, skip },
    logged: ['mended', 'refused', 'blocked'],
    prepare: async ({ session, table, run }) => {
      const prepared = await prepareRepair(session, table, request, run);
      requireSafePath(session, prepared.jobs);
      await reading(session, () => requireRights(session, table, prepared.jobs));
      return prepared;
    },
    hasWork: ({ jobs }) => jobs.length > 0,
    preview,
    carryOut,
  });
}

/** Looks for drift and changes nothing: no lock, no line in the run log; works on a standby, too. */
async function check(context: Context, options: RepairOptions, request: RepairRequest): Promise<Outcome> {
  const run = { budget: budgetOf(options), onWait: () => {} };
  return await withSession(context, options, async ({ session, warnings }) => {
    const table = await reading(session, () => readPartitionedTable(session, options.table));
    const prepared = await prepareRepair(session, table, request, run);
    const { refused, drifts } = prepared;
    const outcome = outcomeOf(prepared, { mended: [], refused, blocked: [], error: null }, warnings);
    return { ...outcome, exitCode: drifts.length === 0 ? EXIT.done : EXIT.no };
  });
}

async function carryOut(
  prepared: PreparedRepair,
  { session, run, warnings, update }: Scene,
): Promise<Outcome> {
  const result = await runRepair(session, prepared, run, ({ member, drifts }) => {
    update(`Repairing ${member.name}: ${drifts.map(({ what }) => what).join(', ')}`);
  });
  return outcomeOf(prepared, result, warnings);
}

function preview(prepared: PreparedRepair, { warnings }: Scene) {
  const { jobs, refused } = prepared;
  const mended = jobs.flatMap(({ drifts }) => drifts);
  const built = jobs.filter(({ builds }) => builds !== null);
  return {
    work: jobs.map(({ steps }) => steps),
    outcome: outcomeOf(prepared, { mended, refused, blocked: [], error: null }, warnings),
    notes: [
      ...mended.map(
        ({ name, what, expected, found }) =>
          `-- ${printable(`${name}: ${what}: ${found}, not ${expected}`)}\n`,
      ),
      ...refused.map(({ message, hint }) => `-- refused: ${printable(message)}\n--   ${printable(hint)}\n`),
    ].join(''),
    // The leaves that are read whole.
    concerns: [...new Set(built.map(({ member }) => member.oid))],
  };
}

function outcomeOf(prepared: PreparedRepair, result: RepairResult, warnings: readonly Warning[]): Outcome {
  const { table, drifts } = prepared;
  const { mended, refused, blocked, error } = result;
  const codes: ExitCode[] = [refused.length === 0 ? EXIT.done : EXIT.no];
  if (error !== null) codes.push(error.exitCode);
  const named = ({ name, kind, what }: Drift) => ({ name, kind, what });
  return {
    exitCode: worstExitCode(codes),
    changed: mended.length > 0,
    data: {
      table: { schema: table.schema, name: table.name },
      drift: drifts,
      mended: mended.map(named),
      refused,
      blocked: blocked.map(named),
    },
    warnings,
    error: error?.facts ?? null,
    render: (style) => renderRepair(style, prepared, result),
  };
}
