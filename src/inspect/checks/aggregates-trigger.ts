import type { Finding as StatusFinding } from '../../aggregates/status-findings.ts';
import { type AggregatedTable, lacksOwnTables, readAggregated } from '../aggregates.ts';
import type { Check, Found } from '../check.ts';
import { commandFix, shellWord, sqlFix } from '../fix.ts';

/** Finds tables and partitions whose changes the aggregates do not hear of. */
export const aggregatesTrigger: Check = {
  name: 'aggregates_trigger',
  area: 'aggregates',
  finds: 'tables and partitions whose late changes are not logged for the aggregates',
  explanation: `Three triggers, of which PostgreSQL gives a copy to every partition, log what changes in hours that are counted already. Where one is
missing, disabled, or does not fire in every session, changes are not seen: of a partition all hours are then counted anew by every
refresh, and retention refuses it; without them on the table itself nothing is known to be right.

A partition that is a foreign table can have none that see what is changed on its own server: that is a note.`,
  thresholds: {},
  opens: false,
  lacks: lacksOwnTables,
  look: async (scene) => {
    const { tables, unreadable } = await readAggregated(scene);
    return { found: [...unreadable, ...tables.flatMap(judge)] };
  },
};

function judge({ qualified, view }: AggregatedTable): readonly Found[] {
  const foreign = view.findings.filter(({ check }) => check === 'foreign_leaf');
  const triggers = view.findings.filter(({ check }) => check === 'trigger' || check === 'not_set_up');
  return [...rollUp(qualified, triggers, 'critical'), ...rollUp(qualified, foreign, 'info')];
}

/** One finding names its own object; several are one of the table. */
function rollUp(
  qualified: string,
  findings: readonly StatusFinding[],
  severity: Found['severity'],
): readonly Found[] {
  const [first] = findings;
  if (first === undefined) return [];
  const texts = [...new Set(findings.flatMap(({ fix }) => fix))];
  const fixes = texts.map((text) =>
    text.startsWith('sensordb ')
      ? commandFix('aggregate', `${text} --table ${shellWord(qualified)}`)
      : sqlFix('repair', text),
  );
  const objects = findings.map(({ object }) => object);
  const isOne = findings.length === 1;
  const more = isOne ? '' : ` The same, or alike, on ${findings.length - 1} more.`;
  return [
    {
      severity,
      object: isOne ? first.object : qualified,
      message: `${first.message}${more}`,
      evidence: { table: qualified, objects: objects.slice(0, 10), count: objects.length },
      fixes,
    },
  ];
}
