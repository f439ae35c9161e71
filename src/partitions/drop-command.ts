import { canAsk } from '../cli/ask.ts';
import type { Context } from '../cli/context.ts';
import { type ErrorFacts, refusedError } from '../cli/errors.ts';
import { EXIT, worstExitCode } from '../cli/exit-codes.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import { formatInstant } from '../time/instant.ts';
import { type Ask, changePartitions, type Scene } from './change.ts';
import { type DropResult, type DropWork, type PreparedDrop, prepareDrop, runDrop } from './drop.ts';
import { dropQuestion, freedBytes } from './drop-confirm.ts';
import { type DropView, renderDrop } from './drop-render.ts';
import { type DropOptions, parseDropRequest } from './drop-request.ts';
import { exitCodeOf, refusalError } from './refusals.ts';

/** Runs `partitions drop`. */
export async function dropCommand(
  context: Context,
  options: DropOptions,
  names: readonly string[],
): Promise<Outcome> {
  const request = parseDropRequest(names, options);
  const { olderThan, before, keepFor, yes, gate } = options;
  return await changePartitions<PreparedDrop>(context, options, {
    command: 'partitions drop',
    arguments: { names, olderThan, before, keepFor, yes, noGate: !gate },
    logged: ['dropped', 'refused', 'overridden'],
    prepare: ({ session, table, past }, agreed) => prepareDrop(session, table, request, past, agreed),
    hasWork: ({ work }) => work.length > 0,
    preview,
    ...(yes === true ? {} : { confirm: confirmation(canAsk(context)) }),
    carryOut,
  });
}

function confirmation(isAsked: boolean) {
  return async (prepared: PreparedDrop, { warnings }: Scene, ask: Ask): Promise<Outcome | null> => {
    if (prepared.work.length === 0) return null;
    if (isAsked && (await ask(dropQuestion(prepared)))) return null;
    const { table, work } = prepared;
    const count = work.length === 1 ? '1 leaf' : `${work.length} leaves`;
    const message = isAsked
      ? `Not confirmed: nothing of ${table.qualified} was dropped.`
      : `Dropping ${count} of ${table.qualified} wants --yes: there is no terminal to ask on.`;
    const { facts } = refusedError('confirmation_required', message, {
      object: table.qualified,
      hint: 'See what it would do with --dry-run; --yes does it unasked.',
    });
    const nothing = { dropped: [], refused: prepared.refused, error: null };
    return { ...outcomeOf(prepared, nothing, warnings, work), exitCode: EXIT.refused, error: facts };
  };
}

async function carryOut(prepared: PreparedDrop, scene: Scene): Promise<Outcome> {
  const { session, run, warnings, update } = scene;
  const result = await runDrop(session, prepared, run, ({ name }) => update(`Dropping ${name}`));
  return outcomeOf(prepared, result, warnings);
}

function preview(prepared: PreparedDrop, { warnings }: Scene) {
  const { work, refused } = prepared;
  const below = work.filter((piece) => piece.below.length > 0);
  return {
    work: work.map(({ steps }) => steps),
    outcome: outcomeOf(prepared, { dropped: work, refused, error: null }, warnings),
    notes: [
      ...refused.map(({ message, hint }) => `-- refused: ${printable(message)}\n--   ${printable(hint)}\n`),
      ...below.map(
        (piece) => `-- with ${printable(piece.leaf.name)} go: ${printable(piece.below.join(', '))}\n`,
      ),
    ].join(''),
    concerns: work.map(({ leaf }) => leaf.oid),
  };
}

function outcomeOf(
  prepared: PreparedDrop,
  result: DropResult,
  warnings: readonly Warning[],
  waiting: readonly DropWork[] = [],
): Outcome {
  const { table, kept, already, overridden } = prepared;
  const dropped = inOrder(prepared, result.dropped);
  const { refused } = result;
  const error: ErrorFacts | null = result.error?.facts ?? refusalError(refused);
  const view: DropView =
    waiting.length === 0
      ? { table, what: 'dropped', leaves: dropped, refused, kept, already }
      : { table, what: 'to drop', leaves: waiting, refused, kept, already };
  return {
    exitCode: worstExitCode([
      ...refused.map(exitCodeOf),
      ...(result.error === null ? [] : [result.error.exitCode]),
    ]),
    changed: dropped.length > 0,
    data: {
      table: { schema: table.schema, name: table.name },
      dropped: dropped.map(({ leaf }) => leaf.name),
      refused: refused.map(({ name, reason, message, hint }) => ({ name, reason, message, hint })),
      kept: kept.map(({ name, until }) => ({ name, until: until === null ? null : formatInstant(until) })),
      already,
      overridden: overridden.map(({ name, reason }) => ({ name, reason })),
      alongside: dropped.flatMap(({ below }) => below),
      bytes: freedBytes(dropped),
      ...(waiting.length === 0 ? {} : { toDrop: waiting.map(({ leaf }) => leaf.name) }),
    },
    warnings,
    error,
    render: (style) => renderDrop(style, view),
  };
}

/** The order of the leaves' lower bounds: those that were waited for were dropped after the others. */
function inOrder({ work }: PreparedDrop, dropped: readonly DropWork[]): readonly DropWork[] {
  return work.filter((piece) => dropped.includes(piece));
}
