import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fillTemplate, type TemplateValues } from './template.ts';

/** Finds the folder `sql/`, which lies beside `dist/` when bundled and two folders up from this file when not. */
function sqlRoot(): URL {
  const besideBundle = new URL('../sql/', import.meta.url);
  return existsSync(besideBundle) ? besideBundle : new URL('../../sql/', import.meta.url);
}

/** Reads a file of the folder `sql/`, such as `partitions/attach_leaf.sql`. */
export function readSqlFile(name: string): string {
  return readFileSync(new URL(name, sqlRoot()), 'utf8');
}

/** Lists the files of a folder of `sql/`, sorted by code point. */
export function listSqlFiles(folder: string): readonly string[] {
  return readdirSync(new URL(`${folder}/`, sqlRoot())).sort();
}

/** Fills in a one-statement file of `sql/`, without the comment at its head. */
export function sqlStatement(name: string, values: TemplateValues): string {
  return fillTemplate(readSqlFile(name), values, { file: `sql/${name}` })
    .replace(/^(?:--[^\n]*\n)+/, '')
    .trim();
}
