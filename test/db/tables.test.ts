import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runMigrations } from '../support/migrations.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const SOURCE = readFileSync(fileURLToPath(new URL('../../src/db/tables.ts', import.meta.url)), 'utf8');

const TYPES: Readonly<Record<string, string>> = {
  bigint: 'Int8',
  integer: 'number',
  'integer[]': 'number[]',
  'double precision': 'number',
  numeric: 'Numeric',
  text: 'string',
  character: 'string',
  boolean: 'boolean',
  jsonb: 'Jsonb',
  'timestamp with time zone': 'Timestamptz',
};

interface ColumnRow {
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly defaulted: boolean;
  readonly readonly: boolean;
}

describe('the types of tables', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
    await runMigrations(database.sql, 'public');
  });
  afterAll(() => database.drop());

  it('are those of the migrated database, column by column', async () => {
    const rows = await database.sql<ColumnRow[]>`
      select c.table_name as table, c.column_name as name,
        case when c.data_type = 'ARRAY' then format('%I.%I', c.udt_schema, c.udt_name)::regtype::text else c.data_type end as type,
        c.is_nullable = 'YES' as nullable,
        c.column_default is not null or c.identity_generation is not distinct from 'BY DEFAULT' as defaulted,
        c.is_generated = 'ALWAYS' or c.identity_generation is not distinct from 'ALWAYS' as readonly
      from information_schema.columns c
      join pg_class t on t.relname = c.table_name and t.relnamespace = c.table_schema::regnamespace
      where c.table_schema = 'public' and t.relkind <> 'v' and not t.relispartition
      order by c.table_name, c.ordinal_position`;
    expect(declaredTables()).toEqual(expectedTables(rows));
  });

  it('are as the driver gives values', async () => {
    const [row] = await database.sql`
      select 9007199254740993::bigint as int8, 1.10::numeric as numeric, '[1]'::jsonb as jsonb,
        '2026-01-01T00:00:00Z'::timestamptz as timestamptz, 1.5::double precision as float8, 7::integer as int4,
        '{7,-8}'::integer[] as int4s`;
    expect(row).toEqual({
      int8: '9007199254740993',
      numeric: '1.10',
      jsonb: [1],
      timestamptz: new Date(Date.UTC(2026, 0, 1)),
      float8: 1.5,
      int4: 7,
      int4s: [7, -8],
    });
  });
});

type Tables = Record<string, readonly string[]>;

// The schema `sensordb` has migrations of its own, which this database has not seen.
function declaredTables(): Tables {
  const entries = interfaceLines('Database').map((line) => /^'?([\w.]+)'?: (\w+);$/.exec(line) ?? []);
  const application = entries.filter(([, table = '']) => !table.startsWith('sensordb.'));
  return Object.fromEntries(application.map(([, table, type = '']) => [table, interfaceLines(type)]));
}

function interfaceLines(name: string): readonly string[] {
  const [, body] = new RegExp(`^export interface ${name} \\{\n([^}]*)\n\\}`, 'm').exec(SOURCE) ?? [];
  if (body === undefined) throw new Error(`src/db/tables.ts declares no interface ${name}`);
  const lines = body.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !/^(\/\/|\/\*|\*)/.test(line));
}

function expectedTables(rows: readonly ColumnRow[]): Tables {
  const tables: Record<string, string[]> = {};
  for (const row of rows) {
    const lines = tables[row.table] ?? [];
    lines.push(expectedLine(row));
    tables[row.table] = lines;
  }
  return tables;
}

function expectedLine({ name, type, nullable, defaulted, readonly }: ColumnRow): string {
  const value = `${TYPES[type] ?? `nothing known for ${type}`}${nullable ? ' | null' : ''}`;
  if (readonly) return `${name}: GeneratedAlways<${value}>;`;
  return defaulted ? `${name}: Generated<${value}>;` : `${name}: ${value};`;
}
