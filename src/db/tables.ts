import type { Generated, GeneratedAlways } from 'kysely';
import type { MigrationTable, RunLogTable } from './state-tables.ts';

// Values are typed as postgres.js hands them over and takes them. bigint and numeric are strings, since a JavaScript
// number would round them. A timestamptz is text, too: a Date has milliseconds and no infinity.
// Readings are written by COPY, never by these types.
type Int8 = string;
type Numeric = string;
type Timestamptz = string;
type Jsonb = unknown;

/** The columns of `sensors_device`. */
export interface SensorsDevice {
  id: Generated<Int8>;
  name: string;
  serial_number: string;
  kind: Generated<string>;
  unit: Generated<string>;
  location: Generated<string>;
  metadata: Generated<Jsonb>;
  is_active: Generated<boolean>;
  created_at: Generated<Timestamptz>;
  updated_at: Generated<Timestamptz>;
}

/** The columns of `sensors_sensorreading` and of each of its partitions. */
export interface SensorsSensorreading {
  id: Generated<Int8>;
  device_id: Int8;
  timestamp: Timestamptz;
  value: number;
}

/** The columns of `sensors_sensoraggregate`. */
export interface SensorsSensoraggregate {
  id: Generated<Int8>;
  device_id: Int8;
  hour: Timestamptz;
  reading_count: Int8;
  value_sum: number;
  value_min: number;
  value_max: number;
  value_sxx: number;
  first_at: Timestamptz;
  first_value: number;
  last_at: Timestamptz;
  last_value: number;
  value_avg: GeneratedAlways<number>;
  value_sketch: number[];
}

/** The columns of `orders_order`. */
export interface OrdersOrder {
  id: Generated<Int8>;
  number: string;
  customer_id: Int8;
  status: Generated<string>;
  currency: string;
  total_amount: Generated<Numeric>;
  created_at: Generated<Timestamptz>;
  updated_at: Generated<Timestamptz>;
}

/** The columns of `orders_orderlineitem`. */
export interface OrdersOrderlineitem {
  id: Generated<Int8>;
  order_id: Int8;
  line_no: number;
  sku: string;
  description: Generated<string>;
  quantity: number;
  unit_price: Numeric;
  created_at: Generated<Timestamptz>;
  updated_at: Generated<Timestamptz>;
}

/** The columns of `orders_payment`. */
export interface OrdersPayment {
  id: Generated<Int8>;
  order_id: Int8;
  provider: string;
  provider_reference: string | null;
  status: Generated<string>;
  currency: string;
  amount: Numeric;
  paid_at: Timestamptz | null;
  created_at: Generated<Timestamptz>;
  updated_at: Generated<Timestamptz>;
}

/**
 * The tables that Kysely knows.
 *
 * The application's carry no schema: `db.withSchema(schema)` gives it. The tool's own tables are always in the
 * schema `sensordb` and carry it in their names, as in `'sensordb.run_log'`; they stand in a group of their own.
 */
export interface Database {
  'sensordb.migration': MigrationTable;
  'sensordb.run_log': RunLogTable;
  sensors_device: SensorsDevice;
  sensors_sensorreading: SensorsSensorreading;
  sensors_sensoraggregate: SensorsSensoraggregate;
  orders_order: OrdersOrder;
  orders_orderlineitem: OrdersOrderlineitem;
  orders_payment: OrdersPayment;
}
