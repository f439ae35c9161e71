import type { PartitionedTable } from '../../db/catalog.ts';
import { type Drift, type DriftKind, groupBy } from '../../partitions/drift.ts';
import type { RepairPlan } from '../../partitions/repair-plan.ts';
import { findDrift } from '../../partitions/repair-prepare.ts';
import type { Check, Found, Severity } from '../check.ts';
import { readSuspects } from '../drift-suspects.ts';
import { commandFix, shellWord } from '../fix.ts';
import { outermost } from '../time-coverage.ts';
import { readTimeTables } from '../time-tables.ts';

const MOST_NAMED = 5;

/** What is only slower or larger than it could be. */
const HARMLESS: ReadonlySet<DriftKind> = new Set([
  'index_options',
  'storage_parameters',
  'statistics_targets',
]);

/** Finds partitions that are not as their table is. */
export const partitionDrift: Check = {
  name: 'partition_drift',
  area: 'partitions',
  finds:
    'partitions whose owner, privileges, row security, triggers, replica identity or parameters are not those of their table',
  explanation: `Much of what is set on a partitioned table does not reach the partitions there are, and nothing keeps somebody from
changing one of them alone. A partition of another owner fails the next ALTER TABLE of all; one without the row security of its
table shows every row to who reads it directly; a disabled trigger misses rows of that partition alone.

What counts as drift is judged by the very code of sensordb partitions repair, which mends it: storage parameters, which a
partitioned table cannot have, come from the newest partition, and one that an older partition has alone is left to it.
Privileges on a partition on which none were ever granted or revoked are no drift, for who comes through the table needs none;
the repair gives it those of the table all the same. Missing and invalid indexes are other checks', and so are the triggers of
the aggregates (aggregates_trigger), which the repair mends, too.

Only tables are looked at that the repair takes: those partitioned by range of one column of time. One finding a table and kind.`,
  thresholds: {},
  opens: true,
  look: async (scene) => {
    const tables = outermost(await readTimeTables(scene)).filter(({ isManaged }) => isManaged);
    const suspects = tables.length === 0 ? new Set() : await readSuspects(scene);
    const locked = new Set(scene.locked.slice(1, -1).split(',').map(Number));
    const found: Found[] = [];
    for (const { root, oid, schema, name, qualified, key, keyType, owner } of tables) {
      if (!suspects.has(root) || locked.has(oid) || key === null) continue;
      const table: PartitionedTable = { oid, schema, name, qualified, key, keyType, owner };
      const plan = await findDrift(scene.session, table);
      found.push(
        ...[...groupBy(plan.drifts, ({ kind }) => kind)].map((group) => judge(table, plan, ...group)),
      );
    }
    return { found };
  },
};

function judge(table: PartitionedTable, plan: RepairPlan, kind: DriftKind, drifts: readonly Drift[]): Found {
  const severity: Severity = HARMLESS.has(kind) ? 'info' : 'warning';
  const names = [...new Set(drifts.map(({ name }) => name))];
  const shown = drifts
    .slice(0, MOST_NAMED)
    .map(({ name, what, expected, found }) => `${name}: ${what} is ${found}, not ${expected}`);
  const more = drifts.length > MOST_NAMED ? `; and ${drifts.length - MOST_NAMED} more` : '';
  const refused = plan.refused.filter((one) => one.kind === kind);
  const [first] = refused;
  const left =
    first === undefined ? '' : ` Of ${refused.length}, the repair says: ${first.message} ${first.hint}`;
  const command = `sensordb partitions repair --table ${shellWord(table.qualified)} --only ${kind}`;
  return {
    severity,
    object: table.qualified,
    key: kind,
    message: `${names.length} ${names.length === 1 ? 'partition differs' : 'partitions differ'} in ${kind.replace('_', ' ')}: ${shown.join('; ')}${more}.${left}`,
    evidence: {
      kind,
      partitions: names.slice(0, MOST_NAMED),
      partitionCount: names.length,
      whats: [...new Set(drifts.map(({ what }) => what))].slice(0, MOST_NAMED),
      refused: refused.length,
    },
    fixes: refused.length < drifts.length ? [commandFix('repair', command)] : [],
  };
}
