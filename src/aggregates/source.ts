import { sql } from 'kysely';
import { usageError } from '../cli/errors.ts';
import { type PartitionedTable, readPartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';

/** The name of the table of hourly aggregates, in the schema of the readings. */
const AGGREGATES = 'sensors_sensoraggregate';

/** A table of readings, and the table that their hourly aggregates stand in. */
export interface Source {
  readonly table: PartitionedTable;
  /** Its name without the schema, which is that of the readings. */
  readonly aggregates: string;
  /** Schema-qualified and quoted. */
  readonly aggregatesQualified: string;
  /** Sensordb's own tables of aggregates were there when it was read. */
  readonly hasState: boolean;
}

/** Columns that must be NOT NULL: there is no aggregate of a null, and the trigger that could not log one would fail the write. */
const NOT_NULL: ReadonlySet<string> = new Set(['device_id', 'timestamp', 'value']);

/** The columns that readings must have, with their types as format_type prints them. */
const COLUMNS: Readonly<Record<string, string>> = {
  id: 'bigint',
  device_id: 'bigint',
  timestamp: 'timestamp with time zone',
  value: 'double precision',
};

interface FoundRow {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
}

/**
 * Finds the table of readings that the user named, and its aggregates; in a transaction.
 *
 * Throws usage errors (exit 2) for a table that has not the columns of readings, is not partitioned by `timestamp`, or has no
 * table of aggregates beside it.
 */
export async function readSource(session: Session, text: string): Promise<Source> {
  const table = await readPartitionedTable(session, text);
  const { rows } = await sql<FoundRow>`
    select a.attname::text as name, format_type(a.atttypid, null) as type, a.attnotnull as "notNull"
      from pg_attribute a
     where a.attrelid = ${String(table.oid)}::oid and a.attname in ('id', 'device_id', 'timestamp', 'value')
    union all
    select 'sensordb', 'state', true where to_regclass('sensordb.aggregate_source') is not null
     union all
    select c.relname::text, 'table', true from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = ${table.schema} and c.relname = ${AGGREGATES} and c.relkind = 'r'`.execute(session.db);
  const found = new Map(rows.map((row) => [row.name, row]));
  requireReadings(table, found);
  const aggregatesQualified = qualifiedName(table.schema, AGGREGATES);
  if (!found.has(AGGREGATES)) {
    throw usageError('no_aggregates', `There is no table ${aggregatesQualified} for the aggregates.`, {
      object: aggregatesQualified,
      hint: 'sensordb migrate up makes it.',
    });
  }
  return { table, aggregates: AGGREGATES, aggregatesQualified, hasState: found.has('sensordb') };
}

function requireReadings(table: PartitionedTable, found: ReadonlyMap<string, FoundRow>): void {
  for (const [name, type] of Object.entries(COLUMNS)) {
    if (found.get(name)?.type === type && (name !== 'timestamp' || table.key === name)) continue;
    throw notReadings(
      table,
      lack(name, type, found),
      'Aggregates are kept of tables with id, device_id, timestamp and value that are partitioned by timestamp.',
    );
  }
  const nullable = Object.keys(COLUMNS).find(
    (name) => NOT_NULL.has(name) && found.get(name)?.notNull !== true,
  );
  if (nullable === undefined) return;
  throw notReadings(
    table,
    `its column ${nullable} may be null`,
    `Once no row has a null there: alter table ${table.qualified} alter column ${quoteIdentifier(nullable)} set not null.`,
  );
}

function notReadings({ qualified }: PartitionedTable, why: string, hint: string): Error {
  return usageError('not_readings', `${qualified} is no table of readings: ${why}.`, {
    object: qualified,
    hint,
  });
}

function lack(name: string, type: string, found: ReadonlyMap<string, FoundRow>): string {
  const is = found.get(name)?.type;
  if (is === undefined) return `it has no column ${name}`;
  return is === type ? `it is not partitioned by ${name}` : `its column ${name} is ${is}, not ${type}`;
}
