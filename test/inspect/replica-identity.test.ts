import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const LEAVES = `
  create table r (id bigint, at timestamptz) partition by range (at);
  create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
  create table "r 2" partition of r for values from ('2026-02-01') to ('2026-03-01');
  create table r_def partition of r default;`;

describe('replica_identity', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  it.each([
    ['a table without a key', 'create table t (i int); create publication p for table t', 'public.t', 1],
    [
      'a table whose identity is nothing',
      'create table t (i int primary key); alter table t replica identity nothing; create publication p for table t',
      'public.t',
      1,
    ],
    ['partitions, once for their table', `${LEAVES} create publication p for table r`, 'public.r', 3],
    [
      'one partition without its key',
      `${LEAVES} alter table r_1 replica identity full; alter table r_def replica identity full; create publication p for all tables`,
      'public.r',
      1,
    ],
    [
      'a partition that is published by itself',
      `${LEAVES} create publication p for table "r 2"`,
      'public.r',
      1,
    ],
  ])('finds %s, on which UPDATE fails, and its fix lets it pass', async (_what, fault, object, count) => {
    await database.sql.unsafe(fault);
    const role = await createRole(database);
    expect((await inspectOnly({ url: role.url }, 'replica_identity')).findings).toHaveLength(1);
    await dropRoles(database.sql, [role]);
    const { findings } = await inspectOnly(database, 'replica_identity');
    expect(findings).toEqual([
      expect.objectContaining({ severity: 'critical', object, evidence: expect.objectContaining({ count }) }),
    ]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, 'replica_identity')).toMatchObject({
      findings: [],
      passed: ['replica_identity'],
    });
    // What is set back by repair, for the table has it otherwise, would fail again.
    await applyFixes(database, (await inspectOnly(database, 'partition_drift')).findings);
    const { findings: left } = await inspect(database, ['--only', 'replica_identity,partition_drift']);
    expect(left.filter(({ severity }) => severity !== 'info')).toEqual([]);
  });

  it('is right that UPDATE fails', async () => {
    await database.sql.unsafe(
      `${LEAVES} insert into r values (1, '2026-01-05'); create publication p for table r`,
    );
    await expect(database.sql`update r set id = 2`).rejects.toMatchObject({ code: '55000' });
  });

  it('passes over what has a key, is not published, or publishes inserts alone', async () => {
    await database.sql.unsafe(`
      create table keyed (i int primary key); create publication p for table keyed;
      create table free (i int);
      create table inserted (i int); create publication q for table inserted with (publish = 'insert');
      create unlogged table light (i int);
      create table chosen (i int not null unique); alter table chosen replica identity using index chosen_i_key;
      alter publication p add table chosen`);
    expect(await inspectOnly(database, 'replica_identity')).toMatchObject({
      findings: [],
      passed: ['replica_identity'],
    });
  });
});
