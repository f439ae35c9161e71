import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectExact, MARCH, refreshAt } from '../support/aggregates-gate.ts';
import { startProxy } from '../support/proxy.ts';
import { addReadings, readingsDatabase } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

const BEGIN = Date.UTC(2026, 2, 10, 12, 30);
let hours = 0;
const at = (hour: number): string => new Date(BEGIN + hour * 3_600_000).toISOString();

let database: TestDatabase;
beforeAll(async () => {
  database = await readingsDatabase();
  await addReadings(database.sql, '2026-02-10T00:00Z', 3);
  await addReadings(database.sql, '2026-03-10T10:00Z', 3);
  await refreshAt(database, at(0));
});
afterAll(() => database.drop());

const insert = (when: string, into = 'sensors_sensorreading'): string =>
  `insert into ${into} (device_id, timestamp, value) values (1, '${when}', 0.25)`;

/** Makes work of every kind for the next refresh: the gate is to move, a leaf has changed, and there are late rows. */
async function makeWork(): Promise<void> {
  hours += 1;
  await database.sql.unsafe(`${insert('2026-02-10T01:20Z')}; ${insert(at(hours - 1))}; ${insert(at(hours))};
    alter table sensors_sensorreading_2026_02 disable trigger sensordb_change_insert;
    alter table sensors_sensorreading_2026_02 enable always trigger sensordb_change_insert;
    ${insert(at(hours - 3))}`);
}

/** What may happen between any two statements; what would have to wait for the refresh does not happen. */
const EVENTS: Readonly<Record<string, () => string>> = {
  'a late row of a device-hour that is in the log': () => insert(at(hours - 3)),
  'a row of the hour that is over now, into the leaf': () => insert(at(hours - 1), MARCH),
  'a row of the open hour that moves into one that is over': () =>
    `update ${MARCH} set timestamp = timestamp - interval '1 hour' where timestamp >= '${at(hours)}'`,
  'the deletion of all that an hour had': () => `delete from ${MARCH} where timestamp = '${at(hours - 3)}'`,
  'a truncation and new rows': () => `truncate sensors_sensorreading_2026_02; ${insert('2026-02-10T01:50Z')}`,
};

/** Before these it is as before the statement that comes next, or nothing of the readings is read or noted any more. */
const SAME = /^(begin|savepoint|set|lock|select pg_catalog|.*pg_locks)|run_log|waitstart/;

it.each(Object.entries(EVENTS))(
  'a refresh is made good by the next, whatever statement this comes before: %s',
  async (_what, event) => {
    const kinds = new Set<string>();
    for (let isNew = true; isNew; ) {
      isNew = false;
      let before = '';
      await makeWork();
      const proxy = await startProxy(database.url, {
        before: async ({ text }) => {
          const kind = text === 'commit' ? `commit of ${before}` : text.replaceAll(/\d+/g, 'N').slice(0, 300);
          before = kind;
          if (isNew || kinds.has(kind) || SAME.test(text)) return;
          kinds.add(kind);
          isNew = true;
          const sql = database.connect();
          await sql.unsafe(`begin; set local lock_timeout to '30ms'; ${event()}; commit`).catch(() => {});
          await sql.end();
        },
      });
      await refreshAt(proxy, at(hours));
      await proxy.close();
      await refreshAt(database, at(hours));
      await expectExact(database);
    }
    expect(kinds.size).toBeGreaterThan(12);
  },
  120_000,
);
