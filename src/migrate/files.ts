import { failure } from '../cli/errors.ts';
import { nodeCrypto } from '../db/builtins/lazy.ts';
import { listSqlFiles, readSqlFile } from '../db/sql-files.ts';
import { normalizeSql } from '../db/statements.ts';

/** A migration file of the package. */
export interface MigrationFile {
  readonly version: number;
  readonly name: string;
  /** Its path below `sql/`. */
  readonly file: string;
  /** Without byte order mark, with line feeds. */
  readonly text: string;
  /** SHA-256 of the text. */
  readonly checksum: string;
}

/** `migrations`: the application's tables; `state`: sensordb's own. */
export type MigrationFolder = 'migrations' | 'state';

const FILE_NAME = /^(\d{4})_([a-z0-9_]+)\.sql$/;

/** Reads the migration files of a folder in the order of their versions. */
export function readMigrationFiles(folder: MigrationFolder): readonly MigrationFile[] {
  const files = listSqlFiles(folder).flatMap((name) => {
    const match = FILE_NAME.exec(name);
    if (match === null) return [];
    const file = `${folder}/${name}`;
    const text = normalizeSql(readSqlFile(file));
    const checksum = nodeCrypto().createHash('sha256').update(text).digest('hex');
    return [{ version: Number(match[1]), name: match[2] as string, file, text, checksum }];
  });
  const twice = files.find(({ version }, at) => files[at - 1]?.version === version);
  if (twice !== undefined) {
    throw failure('duplicate_version', `Two migration files have the version ${twice.version}.`, {
      object: twice.file,
      hint: 'Give the newer one the next free number.',
    });
  }
  return files;
}
