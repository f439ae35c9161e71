/** A table whose leaves a test takes through their life. */
export interface Shape {
  readonly title: string;
  /** Makes the table, its leaves, and what is related to it; rows in the two leaves that `leaves` names. */
  readonly ddl: string;
  /** As SQL spells it. */
  readonly table: string;
  /** Two past leaves, by their names; the first is detached and attached again. */
  readonly leaves: readonly [string, string];
  /** The reasons that the gate may give against dropping or detaching the first; none when absent. */
  readonly refused?: readonly string[];
  /** A row for DEFAULT, as an INSERT, and the leaf that is made for it; absent without DEFAULT. */
  readonly strays?: { readonly insert: string; readonly leaf: string };
}

const MARCH = `values from ('2026-03-01 00:00+00') to ('2026-04-01 00:00+00')`;

/** Tables other than the sensor readings: kinds of keys, periods, leaves, columns, names and relations. */
export const SHAPES: readonly Shape[] = [
  {
    title: 'with a key of type timestamp, daily leaves, and no DEFAULT',
    ddl: `create table vital (at timestamp not null, v int) partition by range (at);
      create table vital_2026_03_01 partition of vital for values from ('2026-03-01') to ('2026-03-02');
      create table vital_2026_03_02 partition of vital for values from ('2026-03-02') to ('2026-03-03');
      create table vital_2026_03_10 partition of vital for values from ('2026-03-10') to ('2026-03-11');
      insert into vital values ('2026-03-01 23:59:59.999999', 1), ('2026-03-02', 2), ('2026-03-10 10:00', 3)`,
    table: 'vital',
    leaves: ['vital_2026_03_01', 'vital_2026_03_02'],
  },
  {
    title: 'with a key of type date, and weekly leaves',
    ddl: `create table vital (at date not null, v int) partition by range (at);
      create table vital_2026_w08 partition of vital for values from ('2026-02-16') to ('2026-02-23');
      create table vital_2026_w09 partition of vital for values from ('2026-02-23') to ('2026-03-02');
      create table vital_2026_w11 partition of vital for values from ('2026-03-09') to ('2026-03-16');
      create table vital_default partition of vital default;
      insert into vital values ('2026-02-16', 1), ('2026-02-22', 2), ('2026-03-01', 3), ('2026-03-10', 3)`,
    table: 'vital',
    leaves: ['vital_2026_w08', 'vital_2026_w09'],
    strays: { insert: `insert into vital values ('2026-02-08', 7)`, leaf: 'vital_2026_w06' },
  },
  {
    title: 'with yearly leaves',
    ddl: `create table vital (at timestamptz not null, v int) partition by range (at);
      create table vital_2023 partition of vital for values from ('2023-01-01+00') to ('2024-01-01+00');
      create table vital_2024 partition of vital for values from ('2024-01-01+00') to ('2025-01-01+00');
      create table vital_2026 partition of vital for values from ('2026-01-01+00') to ('2027-01-01+00');
      create table vital_default partition of vital default;
      insert into vital select timestamptz '2023-01-01+00' + n * interval '1 day', n from generate_series(0, 700) n`,
    table: 'vital',
    leaves: ['vital_2023', 'vital_2024'],
    strays: { insert: `insert into vital values ('2022-02-08+00', 7)`, leaf: 'vital_2022' },
  },
  {
    title: 'whose leaves others made, with odd names and bounds, one from MINVALUE',
    ddl: `create table vital (at timestamptz not null, v int) partition by range (at);
      create table "the ""rest""" partition of vital for values from (minvalue) to ('2025-02-03 04:05:06+00');
      create table "Zeit.1" partition of vital for values from ('2025-02-03 04:05:06+00') to ('2025-07-01 12:00+05:30');
      create table vital_now partition of vital for ${MARCH};
      insert into vital values ('-infinity', 1), ('1970-01-01+00', 2), ('2025-06-30 23:00+00', 3)`,
    table: 'vital',
    leaves: ['"the ""rest"""', '"Zeit.1"'],
  },
  {
    title: 'whose leaves are partitioned further',
    ddl: `create table vital (at timestamptz not null, d int, primary key (at, d)) partition by range (at);
      create table vital_2025_01 partition of vital for values from ('2025-01-01+00') to ('2025-02-01+00') partition by list (d);
      create table vital_2025_01_a partition of vital_2025_01 for values in (1);
      create table vital_2025_01_b partition of vital_2025_01 default;
      create table vital_2025_02 partition of vital for values from ('2025-02-01+00') to ('2025-03-01+00') partition by list (d);
      create table vital_2025_02_a partition of vital_2025_02 for values in (1);
      create table vital_2026_03 partition of vital for ${MARCH};
      create table vital_default partition of vital default;
      insert into vital values ('2025-01-05+00', 1), ('2025-01-05+00', 2), ('2025-02-05+00', 1)`,
    table: 'vital',
    leaves: ['vital_2025_01', 'vital_2025_02'],
    strays: { insert: `insert into vital values ('2024-12-31 23:00+00', 7)`, leaf: 'vital_2024_12' },
  },
  {
    title: 'with foreign-table leaves',
    ddl: `create extension file_fdw; create server files foreign data wrapper file_fdw;
      create table vital (at timestamptz not null, v int) partition by range (at);
      create foreign table vital_2025_01 partition of vital for values from ('2025-01-01+00') to ('2025-02-01+00')
        server files options (program 'echo 2025-01-05 00:00+00,1', format 'csv');
      create foreign table vital_2025_02 partition of vital for values from ('2025-02-01+00') to ('2025-03-01+00')
        server files options (program 'echo 2025-02-05 00:00+00,1', format 'csv');
      create table vital_2026_03 partition of vital for ${MARCH};
      create table vital_default partition of vital default`,
    table: 'vital',
    leaves: ['vital_2025_01', 'vital_2025_02'],
    strays: { insert: `insert into vital values ('2024-12-31 23:00+00', 7)`, leaf: 'vital_2024_12' },
  },
  {
    title: 'with generated columns, dropped ones, and leaves whose columns stand in another order',
    ddl: `create table vital (gone int, at timestamptz not null, v int, twice int generated always as (v * 2) stored)
        partition by range (at);
      alter table vital drop column gone;
      create table vital_2025_01 (v int, twice int generated always as (v * 2) stored, at timestamptz not null);
      alter table vital attach partition vital_2025_01 for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table vital_2025_02 partition of vital for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table vital_2026_03 partition of vital for ${MARCH};
      create table vital_default (twice int generated always as (v * 2) stored, lost text, at timestamptz not null, v int);
      alter table vital_default drop column lost;
      alter table vital attach partition vital_default default;
      insert into vital (at, v) values ('2025-01-05+00', 1), ('2025-02-05+00', 2)`,
    table: 'vital',
    leaves: ['vital_2025_01', 'vital_2025_02'],
    strays: { insert: `insert into vital (at, v) values ('2024-12-31 23:00+00', 7)`, leaf: 'vital_2024_12' },
  },
  {
    title: 'with an identity column',
    ddl: `create table vital (id bigint generated always as identity, at timestamptz not null) partition by range (at);
      create table vital_2025_01 partition of vital for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table vital_2025_02 partition of vital for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table vital_2026_03 partition of vital for ${MARCH};
      create table vital_default partition of vital default;
      insert into vital (at) values ('2025-01-05+00'), ('2025-02-05+00')`,
    table: 'vital',
    leaves: ['vital_2025_01', 'vital_2025_02'],
    strays: { insert: `insert into vital (at) values ('2024-12-31 23:00+00')`, leaf: 'vital_2024_12' },
  },
  {
    title: 'with foreign keys to a partitioned table and to itself',
    ddl: `create table device (id int primary key) partition by range (id);
      create table device_0 partition of device for values from (0) to (10);
      insert into device values (1);
      create table vital (id int, at timestamptz, device int references device, before_id int, before_at timestamptz,
        primary key (id, at), foreign key (before_id, before_at) references vital) partition by range (at);
      create table vital_2025_01 partition of vital for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table vital_2025_02 partition of vital for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table vital_2026_03 partition of vital for ${MARCH};
      create table vital_default partition of vital default;
      insert into vital values (1, '2025-01-05+00', 1), (2, '2025-02-05+00', 1)`,
    table: 'vital',
    leaves: ['vital_2025_01', 'vital_2025_02'],
    refused: ['drop'],
    strays: { insert: `insert into vital values (3, '2024-12-31 23:00+00', 1)`, leaf: 'vital_2024_12' },
  },
  {
    title: 'that a foreign key leads to, though to no row of the old leaves',
    ddl: `create table vital (id int, at timestamptz, primary key (id, at)) partition by range (at);
      create table vital_2025_01 partition of vital for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table vital_2025_02 partition of vital for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table vital_2026_03 partition of vital for ${MARCH};
      create table vital_default partition of vital default;
      insert into vital values (1, '2025-01-05+00'), (2, '2025-02-05+00'), (3, '2026-03-05+00');
      create table alarm (id int, at timestamptz, foreign key (id, at) references vital on delete cascade);
      insert into alarm values (3, '2026-03-05+00')`,
    table: 'vital',
    leaves: ['vital_2025_01', 'vital_2025_02'],
    refused: ['drop'],
    strays: {
      insert: `insert into vital values (4, '2024-12-31 23:00+00'); insert into alarm values (4, '2024-12-31 23:00+00')`,
      leaf: 'vital_2024_12',
    },
  },
  {
    title: 'in an odd schema, with a leaf in another one, members of publications',
    ddl: `create schema "we.ird ""one"""; create schema cold;
      create table "we.ird ""one""".vital (at timestamptz primary key, "the value" int) partition by range (at);
      create table cold.vital_2025_01 partition of "we.ird ""one""".vital for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table "we.ird ""one""".vital_2025_02 partition of "we.ird ""one""".vital
        for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table "we.ird ""one""".vital_2026_03 partition of "we.ird ""one""".vital for ${MARCH};
      create table "we.ird ""one""".vital_default partition of "we.ird ""one""".vital default;
      create publication "one's" for table cold.vital_2025_01; create publication whole for table "we.ird ""one""".vital with (publish = 'insert');
      insert into "we.ird ""one""".vital values ('2025-01-05+00', 1), ('2025-02-05+00', 2)`,
    table: '"we.ird ""one""".vital',
    leaves: ['vital_2025_01', 'vital_2025_02'],
    strays: {
      insert: `insert into "we.ird ""one""".vital values ('2024-12-31 23:00+00', 7)`,
      leaf: 'vital_2024_12',
    },
  },
  {
    title: 'with row security, triggers, comments, statistics and storage parameters',
    ddl: `create table vital (id int, at timestamptz not null, label text, unique (id, at)) partition by range (at);
      create table vital_2025_01 partition of vital for values from ('2025-01-01+00') to ('2025-02-01+00') with (fillfactor = 60);
      create table vital_2025_02 partition of vital for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table vital_2026_03 partition of vital for ${MARCH};
      create table vital_default partition of vital default;
      insert into vital values (1, '2025-01-05+00', 'x'), (2, '2025-02-05+00', 'y');
      create index on vital (label text_pattern_ops) where id > 0; create statistics vital_known on id, label from vital_2025_01;
      create function noted() returns trigger language plpgsql as 'begin return new; end';
      create trigger noted before insert on vital for each row execute function noted();
      comment on table vital_2025_01 is 'the first';
      create policy mine on vital using (id = 1); alter table vital enable row level security;
      alter table vital alter label set statistics 7; alter table vital_2025_01 alter label set storage external`,
    table: 'vital',
    leaves: ['vital_2025_01', 'vital_2025_02'],
    strays: { insert: `insert into vital values (3, '2024-12-31 23:00+00', 'z')`, leaf: 'vital_2024_12' },
  },
];
