import { sqlStatement } from '../db/sql-files.ts';
import type { Step } from '../db/step.ts';
import type { Source } from './source.ts';
import type { SourceState } from './state.ts';

const TRIGGERS = ['insert', 'update', 'delete'] as const;

/** Names the sequence that holds the gate of a source. */
function gateName(id: string): string {
  return `aggregate_gate_${id}`;
}

/**
 * Makes the steps that set a source up, or mend triggers that somebody dropped or disabled.
 *
 * A trigger takes SHARE ROW EXCLUSIVE on the table and its leaves, for which nobody may be writing at that moment: so whoever
 * writes after the last of them is judged by the gate, and everything before it can be counted as history. Each has a
 * transaction of its own: at 5,000 leaves one takes half a second.
 */
export function setupSteps(
  { table, aggregatesQualified }: Source,
  { id }: Pick<SourceState, 'id'>,
  hour: number,
  leaves: readonly string[],
): readonly Step[] {
  const title = `Log the late changes of ${table.qualified}`;
  const [gate, hours] = [gateName(id), String(hour)];
  const target = { schema: table.schema, table: table.name };
  const locks = [table.qualified, ...leaves].map(
    (relation) => ({ relation, mode: 'SHARE ROW EXCLUSIVE' }) as const,
  );
  const step = (
    transaction: number,
    file: string,
    values: Readonly<Record<string, string>>,
    held: Step['locks'] = [],
  ): Step => ({ title, sql: sqlStatement(`aggregates/${file}`, values), transaction, locks: held });
  return [
    step(1, 'create_gate.sql', { gate }),
    step(1, 'open_gate.sql', { gate }),
    step(1, 'set_gate.sql', { gate, hours }),
    ...TRIGGERS.flatMap((event, at) => {
      const trigger = `sensordb_change_${event}`;
      const made = { ...target, gate: `sensordb.${gate}`, source: id };
      return [
        step(at + 2, `create_trigger_${event}.sql`, made, locks),
        step(at + 2, 'enable_trigger_always.sql', { ...target, trigger }, locks),
      ];
    }),
    step(9, 'note_source.sql', { ...target, source: id, gate, hours, aggregates: aggregatesQualified }),
    step(9, 'settle_leaves.sql', { source: id }),
  ];
}

/** Makes the steps that move the gate of a source forward, and take note of what is pending then. */
export function advanceSteps(
  { table }: Source,
  { id, gateHour, cleanUntilHour, leavesMoved }: SourceState,
  hour: number,
): { readonly gate: readonly Step[]; readonly note: readonly Step[] } {
  const title = `Look what is to be counted of ${table.qualified}`;
  const step = (file: string, values: Readonly<Record<string, string>>): Step => ({
    title,
    sql: sqlStatement(`aggregates/${file}`, values),
    transaction: 1,
    locks: [],
  });
  const hours = String(hour);
  return {
    gate: hour > (gateHour ?? hour) ? [step('set_gate.sql', { gate: gateName(id), hours })] : [],
    note: [
      ...(hour > (cleanUntilHour ?? hour) ? [step('advance.sql', { source: id, hours })] : []),
      ...(leavesMoved ? [step('settle_leaves.sql', { source: id })] : []),
    ],
  };
}
