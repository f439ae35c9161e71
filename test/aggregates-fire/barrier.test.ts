import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  expectExact,
  type GateScene,
  gateScene,
  MARCH,
  refreshAt,
  refreshWith,
} from '../support/aggregates-gate.ts';

// The gate stands at hour 0 when a test begins; that hour is over, and the gate moves on, when a refresh runs in hour 1.

let scene: GateScene;
beforeAll(async () => {
  scene = await gateScene();
});
beforeEach(() => scene.moveOn());
afterAll(() => scene.drop());

const insert = (hours: number, into = 'sensors_sensorreading') =>
  `insert into ${into} (device_id, timestamp, value) values (1, '${scene.at(hours)}', 0.5)`;

const refresh = (hours = 1) => refreshAt(scene.database, scene.at(hours));
/** Lets something happen after the refresh looked for the first time who is writing. */
const refreshMeeting = (happens: () => Promise<unknown>) =>
  refreshWith(scene.database, scene.at(1), /RowExclusiveLock/, happens);

const heldBack = () => ({ data: { cleanUntil: scene.hour(0) }, warnings: [{ code: 'writer_open' }] });
const letThrough = (hours = 1) => ({ data: { cleanUntil: scene.hour(hours) }, warnings: [] });

describe('a writer who wrote before the gate moved, and is open when it does', () => {
  it.each([
    [
      'by an update of the leaf',
      () => `update ${MARCH} set timestamp = '${scene.at(0)}' where timestamp = '${scene.hour(0)}'`,
    ],
    [
      'by a delete from the leaf',
      () => `delete from ${MARCH} where timestamp between '${scene.hour(0)}' and '${scene.at(0)}'`,
    ],
    ['in a subtransaction', () => `savepoint a; ${insert(0)}; release savepoint a`],
    ['before a rollback to a savepoint', () => `${insert(0)}; savepoint a; ${insert(0)}; rollback to a`],
  ])('holds the clean hours back until he has ended: %s', async (_how, write) => {
    const writer = scene.writer();
    await writer.unsafe(`begin; ${write()}`);
    const during = await refresh();
    expect(during).toMatchObject(heldBack());
    expect(during.warnings[0]?.message).toContain(scene.role.name);
    await writer.unsafe('commit');
    expect(await refresh()).toMatchObject(letThrough());
    await expectExact(scene.database);
    // From then on it is the log that tells of that hour.
    await writer.unsafe(insert(0));
    await refresh();
    await expectExact(scene.database);
  });

  it('is waited for, if he ends soon', async () => {
    const writer = scene.writer();
    await writer.unsafe(`begin; ${insert(0)}`);
    expect(await refreshMeeting(() => writer.unsafe('commit'))).toMatchObject(letThrough());
    await expectExact(scene.database);
  });

  it('is not taken for one who began since: he is not waited for', async () => {
    const [writer, other] = [scene.writer(), scene.writer()];
    await writer.unsafe(`begin; ${insert(0)}`);
    const during = await refreshMeeting(async () => {
      await other.unsafe(`begin; ${insert(0)}`);
      await writer.unsafe('commit');
    });
    expect(during).toMatchObject(letThrough());
    await other.unsafe('commit');
    await refresh();
    await expectExact(scene.database);
  });

  it('and goes on after it has all his rows counted', async () => {
    const writer = scene.writer();
    await writer.unsafe(`begin; ${insert(0)}`);
    await refresh();
    await writer.unsafe(
      `${insert(0)}; ${insert(-1)}; ${insert(1)}; savepoint a; ${insert(-1)}; rollback to a`,
    );
    await refresh();
    await writer.unsafe('commit');
    await refresh();
    await expectExact(scene.database);
  });

  it('is not forgotten when the refresh that moved the gate was killed', async () => {
    const writer = scene.writer();
    await writer.unsafe(`begin; ${insert(0, MARCH)}`);
    // As far as a killed refresh got.
    await scene.database.sql`
      select setval(s.gate, (extract(epoch from ${scene.hour(1)}::timestamptz) / 3600)::bigint) from sensordb.aggregate_source s`;
    expect(await refresh()).toMatchObject(heldBack());
    await writer.unsafe('commit');
    expect(await refresh()).toMatchObject(letThrough());
    await expectExact(scene.database);
  });
});

describe('a transaction that is prepared', () => {
  const gid = () => `gate_${scene.database.name}`;
  const prepare = () => `prepare transaction '${gid()}'`;
  const finish = (verb: string) => scene.database.sql.unsafe(`${verb} prepared '${gid()}'`);

  it.each(['commit', 'rollback'])(
    'before the gate moves holds the clean hours back until its %s',
    async (verb) => {
      await scene.writer().unsafe(`begin; ${insert(0, MARCH)}; ${prepare()}`);
      const during = await refresh();
      expect(during).toMatchObject(heldBack());
      expect(during.warnings[0]?.message).toContain(`prepared as ${gid()}`);
      await finish(verb);
      expect(await refresh()).toMatchObject(letThrough());
      await expectExact(scene.database);
    },
  );

  it('while the refresh waits for its writer is that writer still', async () => {
    const writer = scene.writer();
    await writer.unsafe(`begin; ${insert(0)}`);
    const during = await refreshMeeting(() => writer.unsafe(prepare()));
    await finish('commit');
    await refresh();
    await expectExact(scene.database);
    expect(during).toMatchObject(heldBack());
  });

  it('while the refresh waits for another one, and began after the gate moved, is not waited for', async () => {
    const [writer, other] = [scene.writer(), scene.writer()];
    await writer.unsafe(`begin; ${insert(0)}`);
    const during = await refreshMeeting(async () => {
      await other.unsafe(`begin; ${insert(0)}; ${prepare()}`);
      await writer.unsafe('commit');
    });
    expect(during).toMatchObject(letThrough());
    await finish('commit');
    await refresh();
    await expectExact(scene.database);
  });

  it('after the gate moved, of a snapshot from before it, is in the log', async () => {
    const writer = scene.writer();
    await writer.unsafe('begin isolation level serializable; select count(*) from sensors_device');
    await refresh();
    await writer.unsafe(`${insert(0)}; ${prepare()}`);
    expect(await refresh()).toMatchObject(letThrough());
    await finish('commit');
    await refresh();
    await expectExact(scene.database);
  });
});
