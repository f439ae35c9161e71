import { sqlStatement } from '../db/sql-files.ts';
import type { Step } from '../db/step.ts';
import type { Source } from './source.ts';
import type { SourceState } from './state.ts';

const TRIGGERS = ['insert', 'update', 'delete'] as const;

/** Names the sequence that holds the gate of a source. */
export function gateName(id: string): string {
  return `aggregate_gate_${id}`;
}

/** Tells whether every change of a source before its gate is logged. */
export function isSetUp({ cleanUntilHour, triggers }: SourceState): boolean {
  return cleanUntilHour !== null && triggers === TRIGGERS.length;
}

/**
 * Makes the steps that set a source up, or mend triggers that somebody dropped or disabled: one transaction.
 *
 * The triggers take SHARE ROW EXCLUSIVE on the table and its leaves, for which nobody may be writing at that moment: so
 * whoever writes from then on is judged by the gate, and everything before it can be counted as history.
 */
export function setupSteps(
  { table, aggregatesQualified }: Source,
  { id }: SourceState,
  hour: number,
  leaves: readonly string[],
): readonly Step[] {
  const [gate, hours] = [gateName(id), String(hour)];
  const target = { schema: table.schema, table: table.name };
  const locks = [table.qualified, ...leaves].map(
    (relation) => ({ relation, mode: 'SHARE ROW EXCLUSIVE' }) as const,
  );
  const plain = (
    file: string,
    values: Readonly<Record<string, string>>,
  ): Omit<Step, 'title' | 'transaction'> => ({
    sql: sqlStatement(`aggregates/${file}`, values),
    locks: [],
  });
  const statements = [
    plain('create_gate.sql', { gate }),
    plain('open_gate.sql', { gate }),
    plain('set_gate.sql', { gate, hours }),
    ...TRIGGERS.flatMap((event) => {
      const trigger = `sensordb_change_${event}`;
      const made = { ...target, gate: `sensordb.${gate}`, source: id };
      return [
        { ...plain(`create_trigger_${event}.sql`, made), locks },
        { ...plain('enable_trigger_always.sql', { ...target, trigger }), locks },
      ];
    }),
    plain('note_source.sql', { ...target, source: id, gate, hours, aggregates: aggregatesQualified }),
    plain('settle_leaves.sql', { source: id }),
  ];
  return statements.map((statement) => ({
    ...statement,
    title: `Log the late changes of ${table.qualified}`,
    transaction: 1,
  }));
}
