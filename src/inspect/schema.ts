import { existsSync, readFileSync } from 'node:fs';
import { EXIT } from '../cli/exit-codes.ts';
import type { Outcome } from '../cli/output.ts';

/** Prints the JSON Schema of `inspect --json`; needs no database. */
export function schemaOutcome(): Outcome {
  const text = readFileSync(schemaFile(), 'utf8');
  return {
    exitCode: EXIT.done,
    changed: false,
    data: { schema: JSON.parse(text) },
    warnings: [],
    error: null,
    isDocument: true,
    render: () => text,
  };
}

/** The folder `schemas/` lies beside `dist/` when bundled, and two folders up from this file when not. */
function schemaFile(): URL {
  const [besideBundle, fromSource] = ['../', '../../'].map(
    (up) => new URL(`${up}schemas/inspect.schema.json`, import.meta.url),
  ) as [URL, URL];
  return existsSync(besideBundle) ? besideBundle : fromSource;
}
