import type { Context } from '../cli/context.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { GlobalOptions } from '../cli/options.ts';
import type { Outcome } from '../cli/output.ts';
import { withSession } from '../cli/with-session.ts';
import { reading } from '../db/transaction.ts';
import type { MigrationState } from './plan.ts';
import { renderStatus } from './render.ts';
import { readTargetSchema } from './schema.ts';
import { readOwnState } from './state.ts';
import { readApplicationState } from './up.ts';

/** The options of `migrate status`. */
export interface StatusOptions extends GlobalOptions {
  readonly schema?: string;
  readonly check?: boolean;
}

/** Runs `migrate status`; it never writes. */
export async function statusCommand(context: Context, options: StatusOptions): Promise<Outcome> {
  return await withSession(context, options, async ({ session, warnings }) => {
    const { schema, own, application } = await reading(session, async () => {
      const target = await readTargetSchema(session, options.schema);
      return {
        schema: target,
        own: (await readOwnState(session)).migrations,
        application: await readApplicationState(session, target),
      };
    });
    const isClean = [own, application].every(
      ({ pending, problems }) => pending.length === 0 && problems.length === 0,
    );
    return {
      exitCode: options.check === true && !isClean ? EXIT.no : EXIT.done,
      changed: false,
      data: { schema, ...stateData(application), state: stateData(own) },
      warnings,
      error: null,
      render: (style) => renderStatus(style, { schema, own, application }),
    };
  });
}

function stateData({ applied, pending, problems }: MigrationState) {
  return {
    applied: applied.map(({ version, name, appliedAt, appliedBy }) => ({
      version,
      name,
      appliedAt,
      appliedBy,
    })),
    pending: pending.map(({ version, name }) => ({ version, name })),
    problems: problems.map(({ version, name, problem, message, hint }) => ({
      version,
      name,
      problem,
      message,
      hint,
    })),
  };
}
