import { groupBy } from '../../partitions/drift.ts';
import { fromDate } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import { ripeAt, type VacuumFacts, vacuumFix } from '../vacuum-facts.ts';
import { readVacuumScene } from '../vacuum-read.ts';

const MOST_NAMED = 5;

/** Finds tables and partitions of which a large part is dead rows. */
export const deadRows: Check = {
  name: 'dead_rows',
  area: 'tables',
  finds: 'tables and partitions that hold many dead rows',
  explanation: `An UPDATE or DELETE leaves the old row where it was until VACUUM takes it away: until then scans read it, and indexes lead
to it. A partition half of whose rows are dead is read twice.

By n_dead_tup, which the statistics count and every VACUUM and ANALYZE sets right. After a reset of the statistics, or a crash,
they begin at nothing: while the catalog knows of rows of which the statistics do not, the check says that it cannot tell yet;
ANALYZE ends that. VACUUM cannot take away what a transaction, a
replication slot or a prepared transaction that is older could still see: where the fix changes nothing, look for those.`,
  thresholds: {
    percent: {
      value: 30,
      unit: 'percent of all rows',
      source: 'autovacuum comes at 17 % by its default scale factor of 0.2; this is nearly twice as much',
    },
    minimum_rows: {
      value: 10_000,
      unit: 'dead rows',
      source: 'some hundred pages, which cost nobody anything',
    },
  },
  opens: false,
  look: async (scene) => {
    const vacuum = await readVacuumScene(scene);
    const { tables } = vacuum;
    const many = tables.filter(
      ({ live, dead }) =>
        dead >= scene.threshold('minimum_rows') && (100 * dead) / (live + dead) >= scene.threshold('percent'),
    );
    const found = [...groupBy(many, ({ root }) => root)].map((group) => judge(...group));
    const ripe = ripeAt(vacuum, fromDate(scene.now));
    return ripe === undefined ? { found } : { found, ripeAt: ripe };
  },
};

function judge(root: string, tables: readonly VacuumFacts[]): Found {
  const worst = tables.toSorted((a, b) => b.dead - a.dead);
  const dead = tables.reduce((sum, one) => sum + one.dead, 0);
  const rows = tables.reduce((sum, one) => sum + one.dead + one.live, 0);
  const names = worst.slice(0, MOST_NAMED).map(({ qualified }) => qualified);
  const [first] = worst;
  const where =
    first?.isPartition === true
      ? `${tables.length} of its partitions (${names.join(', ')}${worst.length > MOST_NAMED ? ', …' : ''}) hold`
      : 'It holds';
  return {
    severity: 'warning',
    object: root,
    message: `${where} ${dead} dead rows, ${Math.round((100 * dead) / rows)} % of all there: scans read them, and no VACUUM took them away.`,
    evidence: {
      tables: names,
      tableCount: tables.length,
      deadRows: dead,
      percent: Math.round((100 * dead) / rows),
    },
    fixes: [
      vacuumFix(
        root,
        tables.map(({ qualified }) => qualified),
      ),
    ],
  };
}
