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
    ddl: `create table t (at timestamp not null, v int) partition by range (at);
      create table t_2026_03_01 partition of t for values from ('2026-03-01') to ('2026-03-02');
      create table t_2026_03_02 partition of t for values from ('2026-03-02') to ('2026-03-03');
      create table t_2026_03_10 partition of t for values from ('2026-03-10') to ('2026-03-11');
      insert into t values ('2026-03-01 23:59:59.999999', 1), ('2026-03-02', 2), ('2026-03-10 10:00', 3)`,
    table: 't',
    leaves: ['t_2026_03_01', 't_2026_03_02'],
  },
  {
    title: 'with a key of type date, and weekly leaves',
    ddl: `create table t (at date not null, v int) partition by range (at);
      create table t_2026_w08 partition of t for values from ('2026-02-16') to ('2026-02-23');
      create table t_2026_w09 partition of t for values from ('2026-02-23') to ('2026-03-02');
      create table t_2026_w11 partition of t for values from ('2026-03-09') to ('2026-03-16');
      create table t_default partition of t default;
      insert into t values ('2026-02-16', 1), ('2026-02-22', 2), ('2026-03-01', 3), ('2026-03-10', 3)`,
    table: 't',
    leaves: ['t_2026_w08', 't_2026_w09'],
    strays: { insert: `insert into t values ('2026-02-08', 7)`, leaf: 't_2026_w06' },
  },
  {
    title: 'with yearly leaves',
    ddl: `create table t (at timestamptz not null, v int) partition by range (at);
      create table t_2023 partition of t for values from ('2023-01-01+00') to ('2024-01-01+00');
      create table t_2024 partition of t for values from ('2024-01-01+00') to ('2025-01-01+00');
      create table t_2026 partition of t for values from ('2026-01-01+00') to ('2027-01-01+00');
      create table t_default partition of t default;
      insert into t select timestamptz '2023-01-01+00' + n * interval '1 day', n from generate_series(0, 700) n`,
    table: 't',
    leaves: ['t_2023', 't_2024'],
    strays: { insert: `insert into t values ('2022-02-08+00', 7)`, leaf: 't_2022' },
  },
  {
    title: 'whose leaves others made, with odd names and bounds, one from MINVALUE',
    ddl: `create table t (at timestamptz not null, v int) partition by range (at);
      create table "the ""rest""" partition of t for values from (minvalue) to ('2025-02-03 04:05:06+00');
      create table "Zeit.1" partition of t for values from ('2025-02-03 04:05:06+00') to ('2025-07-01 12:00+05:30');
      create table t_now partition of t for ${MARCH};
      insert into t values ('-infinity', 1), ('1970-01-01+00', 2), ('2025-06-30 23:00+00', 3)`,
    table: 't',
    leaves: ['"the ""rest"""', '"Zeit.1"'],
  },
  {
    title: 'whose leaves are partitioned further',
    ddl: `create table t (at timestamptz not null, d int, primary key (at, d)) partition by range (at);
      create table t_2025_01 partition of t for values from ('2025-01-01+00') to ('2025-02-01+00') partition by list (d);
      create table t_2025_01_a partition of t_2025_01 for values in (1);
      create table t_2025_01_b partition of t_2025_01 default;
      create table t_2025_02 partition of t for values from ('2025-02-01+00') to ('2025-03-01+00') partition by list (d);
      create table t_2025_02_a partition of t_2025_02 for values in (1);
      create table t_2026_03 partition of t for ${MARCH};
      create table t_default partition of t default;
      insert into t values ('2025-01-05+00', 1), ('2025-01-05+00', 2), ('2025-02-05+00', 1)`,
    table: 't',
    leaves: ['t_2025_01', 't_2025_02'],
    strays: { insert: `insert into t values ('2024-12-31 23:00+00', 7)`, leaf: 't_2024_12' },
  },
  {
    title: 'with foreign-table leaves',
    ddl: `create extension file_fdw; create server files foreign data wrapper file_fdw;
      create table t (at timestamptz not null, v int) partition by range (at);
      create foreign table t_2025_01 partition of t for values from ('2025-01-01+00') to ('2025-02-01+00')
        server files options (program 'echo 2025-01-05 00:00+00,1', format 'csv');
      create foreign table t_2025_02 partition of t for values from ('2025-02-01+00') to ('2025-03-01+00')
        server files options (program 'echo 2025-02-05 00:00+00,1', format 'csv');
      create table t_2026_03 partition of t for ${MARCH};
      create table t_default partition of t default`,
    table: 't',
    leaves: ['t_2025_01', 't_2025_02'],
    strays: { insert: `insert into t values ('2024-12-31 23:00+00', 7)`, leaf: 't_2024_12' },
  },
  {
    title: 'with generated columns, dropped ones, and leaves whose columns stand in another order',
    ddl: `create table t (gone int, at timestamptz not null, v int, twice int generated always as (v * 2) stored)
        partition by range (at);
      alter table t drop column gone;
      create table t_2025_01 (v int, twice int generated always as (v * 2) stored, at timestamptz not null);
      alter table t attach partition t_2025_01 for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table t_2025_02 partition of t for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table t_2026_03 partition of t for ${MARCH};
      create table t_default (twice int generated always as (v * 2) stored, lost text, at timestamptz not null, v int);
      alter table t_default drop column lost;
      alter table t attach partition t_default default;
      insert into t (at, v) values ('2025-01-05+00', 1), ('2025-02-05+00', 2)`,
    table: 't',
    leaves: ['t_2025_01', 't_2025_02'],
    strays: { insert: `insert into t (at, v) values ('2024-12-31 23:00+00', 7)`, leaf: 't_2024_12' },
  },
  {
    title: 'with an identity column',
    ddl: `create table t (id bigint generated always as identity, at timestamptz not null) partition by range (at);
      create table t_2025_01 partition of t for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table t_2025_02 partition of t for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table t_2026_03 partition of t for ${MARCH};
      create table t_default partition of t default;
      insert into t (at) values ('2025-01-05+00'), ('2025-02-05+00')`,
    table: 't',
    leaves: ['t_2025_01', 't_2025_02'],
    strays: { insert: `insert into t (at) values ('2024-12-31 23:00+00')`, leaf: 't_2024_12' },
  },
  {
    title: 'with foreign keys to a partitioned table and to itself',
    ddl: `create table device (id int primary key) partition by range (id);
      create table device_0 partition of device for values from (0) to (10);
      insert into device values (1);
      create table t (id int, at timestamptz, device int references device, before_id int, before_at timestamptz,
        primary key (id, at), foreign key (before_id, before_at) references t) partition by range (at);
      create table t_2025_01 partition of t for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table t_2025_02 partition of t for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table t_2026_03 partition of t for ${MARCH};
      create table t_default partition of t default;
      insert into t values (1, '2025-01-05+00', 1), (2, '2025-02-05+00', 1)`,
    table: 't',
    leaves: ['t_2025_01', 't_2025_02'],
    refused: ['drop'],
    strays: { insert: `insert into t values (3, '2024-12-31 23:00+00', 1)`, leaf: 't_2024_12' },
  },
  {
    title: 'that a foreign key leads to, though to no row of the old leaves',
    ddl: `create table t (id int, at timestamptz, primary key (id, at)) partition by range (at);
      create table t_2025_01 partition of t for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table t_2025_02 partition of t for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table t_2026_03 partition of t for ${MARCH};
      create table t_default partition of t default;
      insert into t values (1, '2025-01-05+00'), (2, '2025-02-05+00'), (3, '2026-03-05+00');
      create table alarm (id int, at timestamptz, foreign key (id, at) references t on delete cascade);
      insert into alarm values (3, '2026-03-05+00')`,
    table: 't',
    leaves: ['t_2025_01', 't_2025_02'],
    refused: ['drop'],
    strays: {
      insert: `insert into t values (4, '2024-12-31 23:00+00'); insert into alarm values (4, '2024-12-31 23:00+00')`,
      leaf: 't_2024_12',
    },
  },
  {
    title: 'in an odd schema, with a leaf in another one, members of publications',
    ddl: `create schema "we.ird ""one"""; create schema cold;
      create table "we.ird ""one""".t (at timestamptz primary key, "the value" int) partition by range (at);
      create table cold.t_2025_01 partition of "we.ird ""one""".t for values from ('2025-01-01+00') to ('2025-02-01+00');
      create table "we.ird ""one""".t_2025_02 partition of "we.ird ""one""".t
        for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table "we.ird ""one""".t_2026_03 partition of "we.ird ""one""".t for ${MARCH};
      create table "we.ird ""one""".t_default partition of "we.ird ""one""".t default;
      create publication "one's" for table cold.t_2025_01; create publication whole for table "we.ird ""one""".t with (publish = 'insert');
      insert into "we.ird ""one""".t values ('2025-01-05+00', 1), ('2025-02-05+00', 2)`,
    table: '"we.ird ""one""".t',
    leaves: ['t_2025_01', 't_2025_02'],
    strays: {
      insert: `insert into "we.ird ""one""".t values ('2024-12-31 23:00+00', 7)`,
      leaf: 't_2024_12',
    },
  },
  {
    title: 'with row security, triggers, comments, statistics and storage parameters',
    ddl: `create table t (id int, at timestamptz not null, label text, unique (id, at)) partition by range (at);
      create table t_2025_01 partition of t for values from ('2025-01-01+00') to ('2025-02-01+00') with (fillfactor = 60);
      create table t_2025_02 partition of t for values from ('2025-02-01+00') to ('2025-03-01+00');
      create table t_2026_03 partition of t for ${MARCH};
      create table t_default partition of t default;
      insert into t values (1, '2025-01-05+00', 'x'), (2, '2025-02-05+00', 'y');
      create index on t (label text_pattern_ops) where id > 0; create statistics on id, label from t_2025_01;
      create function noted() returns trigger language plpgsql as 'begin return new; end';
      create trigger noted before insert on t for each row execute function noted();
      comment on table t_2025_01 is 'the first';
      create policy mine on t using (id = 1); alter table t enable row level security;
      alter table t alter label set statistics 7; alter table t_2025_01 alter label set storage external`,
    table: 't',
    leaves: ['t_2025_01', 't_2025_02'],
    strays: { insert: `insert into t values (3, '2024-12-31 23:00+00', 'z')`, leaf: 't_2024_12' },
  },
];
