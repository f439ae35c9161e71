import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const CHECK = 'brin_pages_per_range';

/** Ten rows a page: 25,000 of them fill 20 MB. */
const READINGS = `
  create table r (id bigint, at timestamptz not null) partition by range (at);
  create table "R 1" partition of r for values from ('2026-01-01') to ('2026-02-01') with (fillfactor = 10);
  create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01');
  insert into r select n, timestamptz '2026-01-01' + n * interval '1 minute' from generate_series(1, 44000) n`;

describe(CHECK, () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
    await database.sql.unsafe(READINGS);
  });
  afterEach(() => database.drop());

  it.each([
    ['too large', 4096, '', 'The ranges of public."by Time" are too large'],
    ['too small', 1, 'index_bytes: 10000', 'The ranges of public."by Time" are too small'],
  ])(
    'notes ranges that are %s, whoever looks, and the fix makes them fit',
    async (_what, pages, threshold, message) => {
      await database.sql.unsafe(
        `create index "by Time" on r using brin (at) with (pages_per_range = ${pages})`,
      );
      await database.sql`analyze`;
      const config = `inspect: { thresholds: { ${CHECK}: { ${threshold} } } }`;
      const role = await createRole(database);
      const seen = (await inspectOnly({ url: role.url }, CHECK, { config })).findings;
      await dropRoles(database.sql, [role]);
      const { exitCode, findings } = await inspectOnly(database, CHECK, { config });
      expect(exitCode).toBe(0);
      expect(findings).toEqual([
        expect.objectContaining({
          severity: 'info',
          object: 'public."by Time"',
          message: expect.stringContaining(message),
          evidence: expect.objectContaining({ partitions: 1, pagesPerRange: pages }),
        }),
      ]);
      expect(seen).toEqual(findings);
      await applyFixes(database, findings);
      expect(await inspectOnly(database, CHECK, { config })).toMatchObject({ findings: [], passed: [CHECK] });
    },
  );

  it('passes over the default, and over small tables with any', async () => {
    await database.sql.unsafe(`create index on r using brin (at);
      create index on r_2 using brin (at) with (pages_per_range = 1024);
      create index on r_2 using brin (id) with (pages_per_range = 1)`);
    await database.sql`analyze`;
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });
});
