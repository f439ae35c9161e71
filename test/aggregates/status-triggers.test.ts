import { afterEach, beforeEach, expect, it } from 'vitest';
import { aggregatedDatabase, refresh, status } from '../support/aggregates.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await aggregatedDatabase();
});
afterEach(() => database.drop());

const LEAF = 'sensors_sensorreading_2026_03';
const trigger = (event: string) => `sensordb_change_${event}`;

it.each([
  [
    'dropped',
    `drop trigger ${trigger('update')} on sensors_sensorreading`,
    'sensordb_change_update is missing',
  ],
  [
    'disabled',
    `alter table sensors_sensorreading disable trigger ${trigger('delete')}`,
    'sensordb_change_delete is disabled',
  ],
  [
    'made to fire in ordinary sessions alone',
    `alter table sensors_sensorreading enable trigger ${trigger('insert')}`,
    'sensordb_change_insert does not fire in sessions of session_replication_role replica',
  ],
])('a trigger of the table that was %s is one finding, which a refresh mends', async (_, ddl, said) => {
  await database.sql.unsafe(ddl);
  const { exitCode, data, error } = await status(database);
  expect([exitCode, error]).toEqual([3, null]);
  expect(data.findings).toEqual([
    {
      check: 'trigger',
      severity: 'critical',
      object: 'public.sensors_sensorreading',
      message: `On public.sensors_sensorreading ${said}: changes are not logged.`,
      fix: ['sensordb aggregates refresh'],
    },
  ]);
  await refresh(database);
  expect(await status(database)).toMatchObject({ exitCode: 0, data: { findings: [] } });
});

it('triggers of a leaf that are disabled are a finding, with the SQL that mends it', async () => {
  await database.sql.unsafe(
    `alter table ${LEAF} disable trigger ${trigger('insert')}; alter table ${LEAF} enable replica trigger ${trigger('delete')}`,
  );
  const { exitCode, data } = await status(database);
  expect(exitCode).toBe(3);
  expect(data.findings).toMatchObject([
    {
      check: 'trigger',
      object: `public.${LEAF}`,
      message: expect.stringContaining('sensordb_change_insert is disabled'),
      fix: [
        `alter table public.${LEAF} enable always trigger sensordb_change_delete`,
        `alter table public.${LEAF} enable always trigger sensordb_change_insert`,
      ],
    },
  ]);
  expect(data.cleanUntil).toBe('2026-03-01T00:00:00Z');
  for (const fix of data.findings[0].fix) await database.sql.unsafe(fix);
  await refresh(database);
  expect(await status(database)).toMatchObject({
    exitCode: 0,
    data: { findings: [], cleanUntil: '2026-03-10T12:00:00Z' },
  });
});

it('a leaf that is a foreign table is a finding: nobody sees what is changed on its server', async () => {
  await database.sql.unsafe(`alter table sensors_sensorreading drop constraint sensors_sensorreading_pkey, drop constraint sensors_sensorreading_device_id_fkey;
    create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
    create foreign table far partition of sensors_sensorreading for values from ('2026-02-01+00') to ('2026-03-01+00') server nowhere`);
  const { exitCode, data } = await status(database);
  expect(exitCode).toBe(3);
  expect(data.findings).toMatchObject([
    { check: 'foreign_leaf', object: 'public.far', message: expect.stringContaining('foreign table') },
  ]);
  expect(data.cleanUntil).toBe('2026-02-01T00:00:00Z');
});

it('a leaf below a leaf is looked at, too', async () => {
  await database.sql.unsafe(`create table april partition of sensors_sensorreading for values from ('2026-04-01+00') to ('2026-05-01+00') partition by range (timestamp);
    create table "we.ird" partition of april for values from ('2026-04-01+00') to ('2026-04-10+00')`);
  expect((await status(database)).data.findings).toEqual([]);
  await database.sql.unsafe(`alter table "we.ird" disable trigger ${trigger('update')}`);
  const { data } = await status(database);
  expect(data.findings).toMatchObject([
    {
      object: 'public."we.ird"',
      fix: [`alter table public."we.ird" enable always trigger sensordb_change_update`],
    },
  ]);
});
