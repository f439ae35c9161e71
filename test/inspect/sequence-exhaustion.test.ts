import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

describe('sequence_exhaustion', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  const CASES: readonly (readonly [string, string, string, 'warning' | 'critical'])[] = [
    [
      'a serial column',
      "create table t (id serial); select setval('t_id_seq', 1700000000)",
      'public.t_id_seq',
      'warning',
    ],
    [
      'an identity column',
      "create table t (id int generated always as identity); select setval('t_id_seq', 2100000000)",
      'public.t_id_seq',
      'critical',
    ],
    [
      'a bigint sequence of an integer column',
      `create table t (id serial); alter sequence t_id_seq as bigint no maxvalue; select setval('t_id_seq', 2000000000)`,
      'public.t_id_seq',
      'critical',
    ],
    [
      'the sequence of all partitions',
      `create sequence ids as int;
       create table t (id bigint not null default nextval('ids'), at timestamptz) partition by range (at);
       create table t_1 partition of t for values from ('2026-01-01') to ('2026-02-01');
       create table t_2 partition of t for values from ('2026-02-01') to ('2026-03-01');
       select setval('ids', 1700000000)`,
      'public.ids',
      'warning',
    ],
    [
      'a sequence with an end of its own',
      `create table t (id bigserial); alter sequence t_id_seq maxvalue 1000; select setval('t_id_seq', 999)`,
      'public.t_id_seq',
      'critical',
    ],
    [
      'names that are quoted',
      `create table "T ""x" (id serial); select setval('"T ""x_id_seq"', 1700000000)`,
      'public."T ""x_id_seq"',
      'warning',
    ],
  ];

  it.each(CASES)('finds %s, and its fix makes room', async (_what, fault, object, severity) => {
    await database.sql.unsafe(fault);
    const { findings } = await inspectOnly(database, 'sequence_exhaustion');
    expect(findings).toEqual([expect.objectContaining({ severity, object })]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, 'sequence_exhaustion')).toMatchObject({
      findings: [],
      passed: ['sequence_exhaustion'],
    });
  });

  it('speaks of partitions where there are any', async () => {
    await database.sql.unsafe(`
      create table t (id serial, at timestamptz) partition by range (at);
      create table t_1 partition of t for values from ('2026-01-01') to ('2026-02-01');
      select setval('t_id_seq', 1700000000)`);
    expect((await inspectOnly(database, 'sequence_exhaustion')).findings).toMatchObject([
      { message: expect.stringContaining('rewrites all partitions under ACCESS EXCLUSIVE') },
    ]);
  });

  it('says that the change of a type blocks all, and cannot be undone', async () => {
    await database.sql.unsafe("create table t (id serial); select setval('t_id_seq', 1700000000)");
    const { findings } = await inspectOnly(database, 'sequence_exhaustion');
    expect(findings).toMatchObject([
      {
        message: expect.stringContaining('rewrites the table under ACCESS EXCLUSIVE'),
        fix: [
          'alter table public.t alter column id type bigint /* cannot be undone */',
          'alter sequence public.t_id_seq as bigint no maxvalue',
        ],
        irreversible: [
          'alter table public.t alter column id type bigint /* cannot be undone */',
          'alter sequence public.t_id_seq as bigint no maxvalue',
        ],
      },
    ]);
  });

  it.each([
    ['an end of its own', 'maxvalue 1000', 'no maxvalue'],
    ['a smaller type', 'as smallint maxvalue 1000', 'as integer no maxvalue'],
    ['a larger type', 'as bigint minvalue -9000000000 maxvalue 1000', 'maxvalue 2147483647'],
  ])('only lets a sequence with %s go on, where its column can take more', async (_what, less, more) => {
    await database.sql.unsafe(
      `create table t (id serial); alter sequence t_id_seq ${less}; select setval('t_id_seq', 999)`,
    );
    const { findings } = await inspectOnly(database, 'sequence_exhaustion');
    expect(findings).toMatchObject([{ fix: [`alter sequence public.t_id_seq ${more}`] }]);
    await applyFixes(database, findings);
    expect((await inspectOnly(database, 'sequence_exhaustion')).findings).toEqual([]);
  });

  it('changes the column, too, where the end of its type is as near', async () => {
    await database.sql.unsafe(
      "create table t (id serial); alter sequence t_id_seq maxvalue 2000000000; select setval('t_id_seq', 1999999999)",
    );
    const { findings } = await inspectOnly(database, 'sequence_exhaustion');
    expect(findings[0]?.irreversible).toHaveLength(2);
    await applyFixes(database, findings);
    expect((await inspectOnly(database, 'sequence_exhaustion')).findings).toEqual([]);
  });

  it('passes over what is young, counts down, or starts again', async () => {
    await database.sql.unsafe(`
      create table t (id serial, big bigserial);
      select setval('t_id_seq', 1500000000), setval('t_big_seq', 99999999999);
      create sequence round as int cycle owned by t.id;
      alter table t alter id set default nextval('round');
      select setval('round', 2147483000);
      create sequence unowned as int; select setval('unowned', 2147483000)`);
    expect(await inspectOnly(database, 'sequence_exhaustion')).toMatchObject({
      findings: [],
      passed: ['sequence_exhaustion'],
    });
  });

  it('is unknown to a role that may not read the sequence', async () => {
    await database.sql.unsafe(`create table t (id serial); select setval('t_id_seq', 1700000000)`);
    const role = await createRole(database);
    const { findings, passed } = await inspectOnly({ url: role.url }, 'sequence_exhaustion');
    expect(passed).toEqual([]);
    expect(findings).toEqual([expect.objectContaining({ severity: 'unknown', object: 'public.t_id_seq' })]);
    await applyFixes(database, findings);
    expect((await inspectOnly({ url: role.url }, 'sequence_exhaustion')).findings).toEqual([
      expect.objectContaining({ severity: 'warning' }),
    ]);
    await dropRoles(database.sql, [role]);
  });
});
