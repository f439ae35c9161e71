import { type Age, type DatabaseAge, type OldTables, readDatabaseAges, readOldTables } from '../ages.ts';
import type { Check, Found } from '../check.ts';
import { sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';

/** Finds tables whose oldest rows come near to transaction id wraparound. */
export const wraparound: Check = {
  name: 'wraparound',
  area: 'tables',
  finds: 'tables whose oldest rows are older than autovacuum lets them become',
  explanation: `Transaction ids are 32 bits: a row that is not frozen within two thousand million of them would seem to lie in the future, and
PostgreSQL stops taking writes before that. At autovacuum_freeze_max_age an autovacuum begins that nothing cancels; a table that is
well beyond it was vacuumed in vain, most often because of an old transaction, a replication slot or a prepared transaction.

Told by the age of pg_class.relfrozenxid and relminmxid of each leaf and of its TOAST table, as a multiple of
autovacuum_freeze_max_age and autovacuum_multixact_freeze_max_age. A partitioned table itself has none (0, whose age is meaningless).
Materialized views, the tables of extensions and the system catalogs count as well, and temporary tables, which autovacuum cannot
touch: a session that lives for months holds back the whole server by them.

What counts in the end is what each database says of itself, pg_database.datfrozenxid and datminmxid: where that is old and no
table is, it has not been brought up to date since the last old one went, which the end of any VACUUM does. Other databases of the
server are noted, for all of them stop together; what is old in them shows in an inspection of theirs. With --table, only that table is
looked at.`,
  thresholds: {
    warning_ratio: {
      value: 1.2,
      unit: 'times autovacuum_freeze_max_age',
      source:
        'From 1 on autovacuum is at it; a fifth more is longer than it takes when nothing holds it back',
    },
    critical_age: {
      value: 1_200_000_000,
      unit: 'transactions',
      source: 'vacuum_failsafe_age is 1.6 thousand million, writes stop 3 million before 2^31',
    },
  },
  opens: false,
  look: async (scene) => {
    const tables = await readOldTables(scene, scene.threshold('warning_ratio'));
    const found = tables.map((one) => describe(one, gravityOf(scene, one)));
    return { found: scene.table === null ? [...found, ...(await judgeDatabases(scene, tables))] : found };
  },
};

type Gravity = 'fine' | 'warning' | 'critical';

const GRAVITIES: readonly Gravity[] = ['fine', 'warning', 'critical'];

function gravityOf(scene: Scene, { ratio, xidAge, mxidAge }: Age): Gravity {
  if (ratio < scene.threshold('warning_ratio')) return 'fine';
  return Math.max(xidAge, mxidAge) >= scene.threshold('critical_age') ? 'critical' : 'warning';
}

const MOST_NAMED = 5;

function describe({ kind, object, oldest, names, ...age }: OldTables, gravity: Gravity): Found {
  const more = names.length - 1;
  const others =
    more > 0 ? `, and those of ${more} more ${kind === 'tables' ? 'partitions' : 'tables'} are old, too` : '';
  const why =
    kind === 'temporary'
      ? 'only the session whose they are can vacuum temporary tables. End it; of one that is gone, autovacuum drops them'
      : 'something keeps it from freezing them';
  const fix = `vacuum (freeze) ${kind === 'catalog' ? names.join(', ') : object}`;
  return {
    severity: gravity === 'critical' ? 'critical' : 'warning',
    object,
    message: `The oldest rows of ${oldest} are ${times(age)} as old as autovacuum lets them become${others}: ${why}.`,
    evidence: { leaves: names.length, oldest, tables: names.slice(0, MOST_NAMED), ...figures(age) },
    fixes: kind === 'temporary' ? [] : [sqlFix('vacuum', fix)],
  };
}

/** What the databases say of themselves: ours where no table explains it, the others as a note. */
async function judgeDatabases(scene: Scene, tables: readonly OldTables[]): Promise<readonly Found[]> {
  const databases = (await readDatabaseAges(scene)).filter((one) => gravityOf(scene, one) !== 'fine');
  const explained = Math.max(0, ...tables.map((one) => GRAVITIES.indexOf(gravityOf(scene, one))));
  const ours = databases.filter((one) => one.isOurs && GRAVITIES.indexOf(gravityOf(scene, one)) > explained);
  const others = databases.filter(({ isOurs }) => !isOurs);
  const critical = others.filter((one) => gravityOf(scene, one) === 'critical');
  const old = others.filter((one) => !critical.includes(one));
  return [
    ...ours.map((one) => unexplained(one, gravityOf(scene, one))),
    // Each by itself, so that one more is new to a baseline: all databases stop taking writes when one has to.
    ...critical.map((one): Found => ({ ...noted([one]), severity: 'warning', key: one.name })),
    ...(old.length === 0 ? [] : [noted(old)]),
  ];
}

function unexplained({ name, isOurs: _, isOpen: __, ...age }: DatabaseAge, gravity: Gravity): Found {
  return {
    severity: gravity === 'critical' ? 'critical' : 'warning',
    object: name,
    message: `Database ${name} says that its oldest rows are ${times(age)} as old as autovacuum lets them become, and no table has any so old: it has not been brought up to date.`,
    evidence: figures(age),
    // The end of any VACUUM does that, whatever it is of.
    fixes: [sqlFix('vacuum', 'vacuum pg_catalog.pg_database')],
  };
}

function noted(databases: readonly DatabaseAge[]): Found {
  const [oldest] = databases as [DatabaseAge];
  const names = databases.map(({ name }) => name);
  const more = names.length > 1 ? `, and ${names.length - 1} more are old, too` : '';
  const then = oldest.isOpen ? 'inspect it' : 'autovacuum alone gets there, so see that it runs';
  return {
    severity: 'info',
    object: 'pg_catalog.pg_database',
    message: `The oldest rows of database ${oldest.name} are ${times(oldest)} as old as autovacuum lets them become${more}: ${then}, for it stops this one, too.`,
    evidence: { databases: names.slice(0, MOST_NAMED), databaseCount: names.length, ...figures(oldest) },
    fixes: [],
  };
}

const times = ({ ratio }: Age): string => `${ratio.toFixed(1)} times`;

function figures({ ratio, xidAge, mxidAge }: Age) {
  return { xidAge, multixactAge: mxidAge, ratio: Math.round(ratio * 100) / 100 };
}
