import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';

const SCHEMA = new URL('../../schemas/inspect.schema.json', import.meta.url);

// A type may be told, and a key required, by what a $ref leads to.
const ajv = new Ajv2020({
  allErrors: true,
  allowUnionTypes: true,
  strictTypes: false,
  strictRequired: false,
});
const validate = ajv.compile(JSON.parse(readFileSync(SCHEMA, 'utf8')));

/** Lists what is wrong with an output of `inspect --json` by its schema. */
export function schemaErrors(output: unknown): readonly string[] {
  validate(output);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message}`);
}
