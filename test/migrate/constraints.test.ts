import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runMigrations } from '../support/migrations.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const AGGREGATE = {
  device_id: '1',
  hour: '2026-01-01T05:00:00Z',
  reading_count: '2',
  value_sum: '3',
  value_min: '1',
  value_max: '2',
  value_sxx: '0.5',
  first_at: '2026-01-01T05:00:00Z',
  first_value: '1',
  last_at: '2026-01-01T05:59:59.999999Z',
  last_value: '2',
  value_sketch: '{655360001,656244737}',
};
const ORDER = { number: 'A-1', customer_id: '7', currency: 'EUR', total_amount: '10.50' };
const LINE = { order_id: '1', line_no: '1', sku: 'S', quantity: '2', unit_price: '5.25' };
const PAYMENT = {
  order_id: '1',
  provider: 'bank',
  provider_reference: 'r1',
  currency: 'EUR',
  amount: '10.50',
};

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await runMigrations(database.sql, 'public');
});
beforeEach(async () => {
  await database.sql`truncate sensors_device, sensors_sensorreading, sensors_sensoraggregate, orders_order,
    orders_orderlineitem, orders_payment restart identity`;
  await database.sql`insert into sensors_device (name, serial_number) values ('d', 's1')`;
  await insert('orders_order', { ...ORDER, number: 'A-0' });
});
afterAll(() => database.drop());

async function insert(
  table: string,
  row: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
  const values = Object.values(row).map((value) => `'${value}'`);
  const [inserted] = await database.sql.unsafe(
    `insert into ${table} (${Object.keys(row).join(', ')}) values (${values.join(', ')}) returning *`,
  );
  return inserted ?? {};
}

describe('the tables', () => {
  it.each([
    ['a device without a serial number', 'sensors_device', { name: 'd' }, '23502'],
    [
      'a serial number twice',
      'sensors_device',
      { name: 'd', serial_number: 's1' },
      'sensors_device_serial_number_key',
    ],
    [
      'a reading of an unknown device',
      'sensors_sensorreading',
      { device_id: '99', timestamp: '2026-01-01', value: '1' },
      'sensors_sensorreading_device_id_fkey',
    ],
    [
      'an hour that is none in UTC',
      'sensors_sensoraggregate',
      { ...AGGREGATE, hour: '2026-01-01T05:30:00Z' },
      'sensors_sensoraggregate_(hour|first_last)_check',
    ],
    [
      'a first reading before the hour',
      'sensors_sensoraggregate',
      { ...AGGREGATE, first_at: '2026-01-01T04:59:59.999999Z' },
      'sensors_sensoraggregate_first_last_check',
    ],
    [
      'a last reading after the hour',
      'sensors_sensoraggregate',
      { ...AGGREGATE, last_at: '2026-01-01T06:00:00Z' },
      'sensors_sensoraggregate_first_last_check',
    ],
    ['an aggregate of nothing', 'sensors_sensoraggregate', { ...AGGREGATE, reading_count: '0' }, '22012'],
    [
      'a negative count',
      'sensors_sensoraggregate',
      { ...AGGREGATE, reading_count: '-1' },
      'sensors_sensoraggregate_reading_count_check',
    ],
    ['an average of its own', 'sensors_sensoraggregate', { ...AGGREGATE, value_avg: '1' }, '428C9'],
    ['an unknown order status', 'orders_order', { ...ORDER, status: 'lost' }, 'orders_order_status_check'],
    ['an order number twice', 'orders_order', { ...ORDER, number: 'A-0' }, 'orders_order_number_key'],
    [
      'a negative total',
      'orders_order',
      { ...ORDER, total_amount: '-0.01' },
      'orders_order_total_amount_check',
    ],
    [
      'a total that is no number',
      'orders_order',
      { ...ORDER, total_amount: 'NaN' },
      'orders_order_total_amount_check',
    ],
    [
      'a currency in lower case',
      'orders_order',
      { ...ORDER, currency: 'eur' },
      'orders_order_currency_check',
    ],
    [
      'a currency of two letters',
      'orders_order',
      { ...ORDER, currency: 'EU' },
      'orders_order_currency_check',
    ],
    [
      'a line without quantity',
      'orders_orderlineitem',
      { ...LINE, quantity: '0' },
      'orders_orderlineitem_quantity_check',
    ],
    [
      'a line of an unknown order',
      'orders_orderlineitem',
      { ...LINE, order_id: '99' },
      'orders_orderlineitem_order_id_fkey',
    ],
    [
      'a payment of an unknown order',
      'orders_payment',
      { ...PAYMENT, order_id: '99' },
      'orders_payment_order_id_fkey',
    ],
    [
      'an unknown payment status',
      'orders_payment',
      { ...PAYMENT, status: 'lost' },
      'orders_payment_status_check',
    ],
  ])('refuse %s', async (_, table, row, reason) => {
    const error = await insert(table, row).catch(
      (caught: { code: string; constraint_name?: string }) => caught,
    );
    expect(error.constraint_name ?? error.code).toMatch(new RegExp(`^${reason}$`));
  });

  it('refuse the same line and the same payment twice, but not two payments without a reference', async () => {
    await insert('orders_orderlineitem', LINE);
    await expect(insert('orders_orderlineitem', LINE)).rejects.toThrow(
      'orders_orderlineitem_order_id_line_no_key',
    );
    await insert('orders_payment', PAYMENT);
    await expect(insert('orders_payment', PAYMENT)).rejects.toThrow(
      'orders_payment_provider_provider_reference_key',
    );
    const { provider_reference: _, ...pending } = PAYMENT;
    await insert('orders_payment', pending);
    expect(await insert('orders_payment', pending)).toMatchObject({
      provider_reference: null,
      status: 'pending',
    });
  });

  it('fill in what a plain insert leaves out', async () => {
    expect(await database.sql`select kind, unit, location, metadata, is_active from sensors_device`).toEqual([
      { kind: '', unit: '', location: '', metadata: {}, is_active: true },
    ]);
  });
});

describe('sensors_sensorreading', () => {
  const reading = { device_id: '1', value: '1' };

  it('keeps what no partition covers in the DEFAULT partition', async () => {
    for (const timestamp of ['1970-01-01', '2999-01-01', 'infinity']) {
      await insert('sensors_sensorreading', { ...reading, timestamp });
    }
    const rows = await database.sql`select id from sensors_sensorreading_default order by id`;
    expect(rows).toEqual([{ id: '1' }, { id: '2' }, { id: '3' }]);
  });

  it('gives ids and an autosummarized BRIN index to leaves that are made or attached', async () => {
    const { sql } = database;
    await sql`create table leaf_a partition of sensors_sensorreading for values from ('2026-01-01') to ('2026-02-01')`;
    await sql`create table leaf_b (like sensors_sensorreading including defaults including constraints)`;
    await sql`alter table sensors_sensorreading attach partition leaf_b for values from ('2026-02-01') to ('2026-03-01')`;
    expect(await insert('leaf_a', { ...reading, timestamp: '2026-01-15' })).toMatchObject({ id: '1' });
    expect(await insert('leaf_b', { ...reading, timestamp: '2026-02-15' })).toMatchObject({ id: '2' });
    const indexes = await sql`
      select i.indrelid::regclass::text as leaf, x.reloptions as options
      from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am a on a.oid = x.relam
      where a.amname = 'brin' and x.relkind = 'i' and i.indrelid <> 'sensors_sensoraggregate'::regclass order by 1`;
    const options = ['autosummarize=on'];
    expect(indexes).toEqual(
      ['leaf_a', 'leaf_b', 'sensors_sensorreading_default'].map((leaf) => ({ leaf, options })),
    );
  });
});

describe('sensors_sensoraggregate', () => {
  it.each([
    ['a plain hour', {}, 1.5],
    ['NaN', { value_sum: 'NaN', value_max: 'NaN', value_sxx: 'NaN' }, Number.NaN],
    [
      'infinity',
      { value_sum: 'Infinity', value_max: 'Infinity', value_sxx: 'NaN' },
      Number.POSITIVE_INFINITY,
    ],
    ['a sum that division would take below the smallest number', { value_sum: '5e-324' }, 0],
    ['a small sum', { value_sum: '-2e-300' }, -1e-300],
  ])('derives the average of %s', async (_, state, average) => {
    expect((await insert('sensors_sensoraggregate', { ...AGGREGATE, ...state })).value_avg).toBe(average);
  });

  it.each([
    '1969-12-31T05:00:00Z',
    '0001-01-01T00:00:00Z',
    'infinity',
    '4713-01-01T00:00:00Z BC',
    '294276-12-31T23:00:00Z',
  ])('takes the hour %s', async (hour) => {
    const row = { ...AGGREGATE, hour, first_at: hour, last_at: hour };
    expect(await insert('sensors_sensoraggregate', row)).toMatchObject({ value_avg: 1.5 });
  });

  it('outlives the device', async () => {
    await insert('sensors_sensoraggregate', AGGREGATE);
    await database.sql`delete from sensors_device`;
    expect(await database.sql`select device_id from sensors_sensoraggregate`).toEqual([{ device_id: '1' }]);
  });

  it('would fail on a bad clock if it went by date_bin', async () => {
    const binned = database.sql`select date_bin('1 hour', '294276-12-31T23:00:00Z', '0001-01-01T00:00:00Z'::timestamptz)`;
    await expect(binned).rejects.toMatchObject({ code: '22008' });
  });

  it('fails to divide a sum into nothing in PostgreSQL itself, which is why the average guards against it', async () => {
    await expect(database.sql`select '5e-324'::double precision / 2`).rejects.toMatchObject({
      code: '22003',
    });
  });
});
