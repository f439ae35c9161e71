import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { SensordbError } from '../../../src/cli/errors.ts';
import { describeConninfo } from '../../../src/db/conninfo/describe.ts';
import type { ConninfoInput } from '../../../src/db/conninfo/types.ts';
import { makeFolder, resolve, writePrivate } from './support.ts';

/** Gives all that a user or a log could come to see: of the settings, or of the error and its causes. */
function everythingShown(input: Partial<ConninfoInput>): string {
  try {
    const conninfo = resolve(input);
    return [JSON.stringify(conninfo), inspect(conninfo, { depth: 9 }), describeConninfo(conninfo)].join('\n');
  } catch (error) {
    if (!(error instanceof SensordbError)) throw error;
    const causes = [error, error.cause, error.cause instanceof Error ? error.cause.cause : null];
    return [
      ...causes.map(String),
      JSON.stringify(error.facts),
      inspect(error, { depth: 9, showHidden: true }),
    ].join('\n');
  }
}

// Every password below is made of these two words, whole or torn apart by a character that was not encoded.
const WORDS = /hunter|zwei/;

it.each([
  'postgres://u:hunterzwei@host/db',
  'postgres://u:hunter%40zwei@host/db',
  'postgres://u:hunter@zwei@host/db',
  'postgres://u:hunter/zwei@host/db',
  'postgres://u:hunter?zwei@host/db',
  'postgres://u:hunter/zwei?x@host/db',
  'postgres://u:hunter/a?zwei=b@host/db',
  'postgres://u:hunter#zwei@host/db',
  'postgres://u:hunter:zwei@host/db',
  'postgres://u:hunter[zwei]@host/db',
  'postgres://u:hunter%zwei@host/db',
  'postgres://u:hunter%ffzwei@host/db',
  'postgres://u:hunterzwei@h:badport/db',
  'postgres://u:hunterzwei@h:99999/db',
  'postgres://u:a@b:hunterzwei@host/db',
  'postgres://u:a@b:hunter/zwei@host/db',
  'postgres://u:hunter zwei@host/db',
  'postgres://u:hunterzwei@[::1/db',
  'postgres://u:hunterzwei@host/db?nonsense=1',
  'postgres://u:hunterzwei@host/db?sslmode=nonsense',
  'postgres://host/db?password=hunterzwei&nonsense=1',
  'postgres://host/db?password=hunter&zwei=1',
  'postgres://host/db?password=hunter&zwei',
  'postgres://host/db?password=hunter=zwei',
  'postgres://host/db?password=hunter%zwei',
  'postgres://host?password=hunter@zwei',
  'postgres://host:5432?user=u&password=hunter@zwei',
  'postgres://host/db?password=hunter@zwei&sslmode=nonsense',
  'postgres://host/db?sslpassword=hunterzwei',
  'mysql://u:hunterzwei@host/db',
  'mysql://u:hunterzwei@host/db?a=b',
  'u:hunterzwei@host/db',
  'u:hunterzwei@host/db?a=b',
  '//u:hunterzwei@host/db?sslmode=require',
  'host=h password=hunterzwei port=x',
  'host=h password=hunter zwei',
  'host=h password=hunter zwei=x',
  "host=h password='hunter zwei",
  "host=h password='hunter'zwei port=1",
  'host=h password=hunterzwei nonsense=1',
  'host=h sslpassword=hunter zwei=1',
])('shows no password of %s', (url) => {
  expect(everythingShown({ url })).not.toMatch(WORDS);
  expect(everythingShown({ env: { DATABASE_URL: url } })).not.toMatch(WORDS);
});

it('shows no password of the environment, of a password file or of a service file', () => {
  const folder = makeFolder();
  const passfile = writePrivate(join(folder, 'pgpass'), '*:*:*:*:hunterzwei\n');
  expect(everythingShown({ env: { PGHOST: 'h', PGPASSWORD: 'hunterzwei', PGPORT: 'x' } })).not.toMatch(WORDS);
  expect(everythingShown({ env: { PGHOST: 'h', PGPASSFILE: passfile } })).not.toMatch(WORDS);
  const service = writePrivate(join(folder, 'services'), '[s]\nhunterzwei\n');
  expect(everythingShown({ env: { PGSERVICE: 's', PGSERVICEFILE: service } })).not.toMatch(WORDS);
});

it('says where the password stood, so that its owner can be warned of the process list', () => {
  expect(resolve({ url: 'postgres://u:hunterzwei@h' }).passwordSource).toBe('--url');
  expect(resolve({ url: 'postgres://u@h', env: { PGPASSWORD: 'x' } }).passwordSource).toBe('PGPASSWORD');
  expect(resolve({ url: 'postgres://u@h' }).passwordSource).toBeNull();
});
