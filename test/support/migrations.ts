import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Sql } from 'postgres';
import { fillTemplate } from '../../src/db/template.ts';

const FOLDER = fileURLToPath(new URL('../../sql/migrations/', import.meta.url));

/** A file of `sql/migrations`. */
export interface MigrationFile {
  readonly file: string;
  readonly text: string;
}

/** Reads the migrations of one direction, in the order in which they are run. */
export function migrationFiles(direction: 'up' | 'down'): readonly MigrationFile[] {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.sql'));
  const wanted = names.filter((name) => name.endsWith('.down.sql') === (direction === 'down')).sort();
  const ordered = direction === 'up' ? wanted : wanted.reverse();
  return ordered.map((file) => ({ file, text: readFileSync(FOLDER + file, 'utf8') }));
}

/** Runs all migrations of one direction from a version on, each in its own transaction, without the command's runner. */
export async function runMigrations(
  sql: Sql,
  schema: string,
  direction: 'up' | 'down' = 'up',
  version = 1,
): Promise<void> {
  for (const { file, text } of migrationFiles(direction)) {
    if (Number.parseInt(file, 10) < version) continue;
    await sql.begin((transaction) => transaction.unsafe(fillTemplate(text, { schema }, { file })));
  }
}
