import { LOCK_MODES } from '../db/lock-modes.ts';
import { qualifiedName } from '../db/quote.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { splitStatements } from '../db/statements.ts';
import type { Step, StepLock } from '../db/step.ts';
import { fillTemplate } from '../db/template.ts';
import type { MigrationFile } from './files.ts';

/** What the migrations of one folder are applied to, and how they are noted. */
export interface MigrationTarget {
  readonly schema: string;
  readonly toolVersion: string;
}

/** Makes the steps of one migration: its statements and its line in the history, in one transaction. */
export function migrationSteps(
  file: MigrationFile,
  target: MigrationTarget,
  transaction: number,
): readonly Step[] {
  const values = file.file.startsWith('migrations/') ? { schema: target.schema } : {};
  const path = `sql/${file.file}`;
  const filled = fillTemplate(file.text, values, { file: path });
  const note = sqlStatement('state/insert_migration.sql', {
    schema_name: target.schema,
    version: String(file.version),
    name: file.name,
    checksum: file.checksum,
    tool_version: target.toolVersion,
  });
  const title = `Apply migration ${String(file.version).padStart(4, '0')} ${file.name}`;
  return [
    ...splitStatements(filled, path).map(({ sql, offset, line }, at) => ({
      title,
      sql,
      transaction,
      locks: at === 0 ? locksOf(file, target.schema) : [],
      source: { file: path, text: filled, offset, line },
    })),
    { title, sql: note, transaction, locks: [] },
  ];
}

const HEAD_LOCK = /^-- Strongest lock: ((?:[A-Z]+ )+)on (\w+)/m;

/** Reads the lock on a table that exists already from the comment at the head of a file; a test holds it to be true. */
function locksOf({ text }: MigrationFile, schema: string): readonly StepLock[] {
  const match = HEAD_LOCK.exec(text);
  const mode = LOCK_MODES.find((known) => known === match?.[1]?.trim());
  if (match === null || mode === undefined) return [];
  return [{ relation: qualifiedName(schema, match[2] as string), mode }];
}

/** Makes the step that creates sensordb's own schema. */
export function schemaStep(transaction: number): Step {
  return {
    title: 'Create schema sensordb',
    sql: sqlStatement('state/create_schema.sql', {}),
    transaction,
    locks: [],
  };
}
