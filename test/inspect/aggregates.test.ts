import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aggregatedDatabase, refresh, verify } from '../support/aggregates.ts';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { NOW } from '../support/live.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import type { TestDatabase } from '../support/server.ts';

const HOUR_MS = 3_600_000;
const LEAF = 'sensors_sensorreading_2026_03';
const TABLE = 'public.sensors_sensorreading';

/** The run log goes by the server's clock, and what is over by the tests': inspect is run so many hours after the server's present. */
const inHours = (hours: number): string => new Date(Date.now() + hours * HOUR_MS).toISOString();

let database: TestDatabase;
beforeEach(async () => {
  database = await aggregatedDatabase();
});
afterEach(() => database.drop());

/** A role that may see neither schema sensordb nor the readings. */
async function asNobody(check: string) {
  const role = await createRole(database);
  const result = await inspectOnly({ url: role.url }, check);
  await dropRoles(database.sql, [role]);
  return result;
}

it('is one unknown finding for all checks of a role that may not see', async () => {
  const checks = ['aggregates_behind', 'aggregates_trigger', 'aggregates_unverified'];
  expect(await asNobody(checks.join())).toMatchObject({
    exitCode: 3,
    passed: [],
    findings: [
      {
        severity: 'unknown',
        object: database.name,
        message: expect.stringMatching(
          /^Could not be checked\. Nor could aggregates_trigger and aggregates_unverified\. It needs USAGE on schema sensordb and SELECT on its tables for role \w+\.$/,
        ),
        evidence: { checks },
      },
    ],
  });
});

describe('aggregates_behind', () => {
  const CHECK = 'aggregates_behind';
  const late = `insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-03-02 10:01+00', 5)`;

  it('passes while a refresh ran of late, and over a table to which nothing was written since', async () => {
    await database.sql.unsafe(late);
    expect(await inspectOnly(database, CHECK, { now: inHours(1) })).toMatchObject({
      findings: [],
      passed: [CHECK],
    });
    await refresh(database);
    expect(await inspectOnly(database, CHECK, { now: inHours(24 * 30) })).toMatchObject({
      findings: [],
      passed: [CHECK],
    });
  });

  it.each([
    ['late readings', late, 27, 'warning'],
    [
      'readings of hours that are over',
      `insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-03-20 10:01+00', 5)`,
      27,
      'warning',
    ],
    ['a leaf that was emptied', `truncate ${LEAF}`, 24 * 8, 'critical'],
  ])(
    'finds %s that no refresh has seen for long, and its fix counts them',
    async (_what, fault, hours, severity) => {
      await database.sql.unsafe(fault);
      const { exitCode, findings } = await inspectOnly(database, CHECK, { now: inHours(hours) });
      expect(exitCode).toBe(3);
      expect(findings).toEqual([expect.objectContaining({ severity, object: TABLE })]);
      await applyFixes(database, findings);
      expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    },
  );

  it('is unknown to a role that may not see', async () => {
    expect(await asNobody(CHECK)).toMatchObject({ passed: [], findings: [{ severity: 'unknown' }] });
  });
});

describe('aggregates_unverified', () => {
  const CHECK = 'aggregates_unverified';

  it('is not yet ripe after the setup, finds that nobody verified then, and its fix does', async () => {
    const young = await inspectOnly(database, CHECK, { now: inHours(1) });
    expect(young).toMatchObject({ exitCode: 0, findings: [], passed: [], notYet: [{ check: CHECK }] });
    const old = { now: inHours(24 * 40) };
    const { findings } = await inspectOnly(database, CHECK, old);
    expect(findings).toEqual([expect.objectContaining({ severity: 'warning', object: TABLE })]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    // And once more when that is long ago.
    expect((await inspectOnly(database, CHECK, old)).findings).toEqual([
      expect.objectContaining({
        severity: 'warning',
        message: expect.stringMatching(/for (40 d|39 d 23 h)/),
      }),
    ]);
  });

  it('finds that the last verification found some wrong, and its fix counts just those again', async () => {
    await database.sql`update sensors_sensoraggregate set value_max = 4711 where device_id = 1 and hour = '2026-03-02 10:00+00'`;
    await database.sql`update sensors_sensoraggregate set value_max = 4711 where device_id = 2 and hour in ('2026-03-02 11:00+00', '2026-03-03 11:00+00')`;
    expect((await verify(database)).exitCode).toBe(3);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toEqual([
      expect.objectContaining({
        severity: 'critical',
        fix: [
          `sensordb aggregates backfill --recount --from 2026-03-02T10:00:00Z --to 2026-03-02T12:00:00Z --table ${TABLE}`,
          `sensordb aggregates backfill --recount --from 2026-03-03T11:00:00Z --to 2026-03-03T12:00:00Z --table ${TABLE}`,
          `sensordb aggregates verify --table ${TABLE}`,
        ],
      }),
    ]);
    await applyFixes(database, findings, { now: NOW });
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('is unknown to a role that may not see', async () => {
    expect(await asNobody(CHECK)).toMatchObject({
      passed: [],
      notYet: [],
      findings: [{ severity: 'unknown' }],
    });
  });
});

describe('aggregates_trigger', () => {
  const CHECK = 'aggregates_trigger';

  it.each([
    [
      'a trigger that a leaf has disabled',
      `alter table ${LEAF} disable trigger sensordb_change_insert`,
      `public.${LEAF}`,
    ],
    ['triggers that were all disabled', 'alter table sensors_sensorreading disable trigger all', TABLE],
    ['a trigger that was dropped', 'drop trigger sensordb_change_delete on sensors_sensorreading', TABLE],
    [
      'a trigger that does not fire in replication',
      `alter table sensors_sensorreading enable trigger sensordb_change_update`,
      TABLE,
    ],
  ])('finds %s, and its fix makes it whole', async (_what, fault, object) => {
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    await database.sql.unsafe(fault);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toEqual([expect.objectContaining({ severity: 'critical', object })]);
    // It is one fault, and one finding.
    expect((await inspectOnly(database, 'partition_drift')).findings).toEqual([]);
    await applyFixes(database, findings, { now: NOW });
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('leaves other triggers to partition_drift', async () => {
    await database.sql.unsafe(`
      create function nothing() returns trigger language plpgsql as 'begin return new; end';
      create trigger own before insert on sensors_sensorreading for each row execute function nothing();
      alter table ${LEAF} disable trigger user`);
    expect((await inspectOnly(database, 'partition_drift')).findings).toMatchObject([
      { object: TABLE, evidence: { kind: 'triggers', partitionCount: 1, whats: ['trigger own'] } },
    ]);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([{ object: `public.${LEAF}` }]);
  });

  it('is unknown to a role that may not see', async () => {
    await database.sql.unsafe(`alter table ${LEAF} disable trigger sensordb_change_insert`);
    expect(await asNobody(CHECK)).toMatchObject({ passed: [], findings: [{ severity: 'unknown' }] });
  });
});

it('nothing is said of aggregates that were never asked for', async () => {
  await database.sql.unsafe('drop schema sensordb cascade');
  for (const check of ['aggregates_behind', 'aggregates_unverified', 'aggregates_trigger']) {
    expect(await inspectOnly(database, check)).toMatchObject({ findings: [], passed: [check] });
  }
});
