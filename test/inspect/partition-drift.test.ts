import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { leavesOf, months } from '../support/inspect-leaves.ts';
import { createReadings } from '../support/repair.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

interface Case {
  readonly kind: string;
  readonly severity: 'warning' | 'info';
  readonly happens: string;
  readonly partitions: readonly string[];
  /** What brings the table back. */
  readonly undo?: string;
}

const FEBRUARY = ['readings_2026_02'];
const OTHERS = ['readings_2026_01', 'readings_2026_02', 'readings_default'];
const ALL = ['readings_2026_01', 'readings_2026_02', 'readings_2026_03', 'readings_default'];

const CASES: readonly Case[] = [
  {
    kind: 'owner',
    severity: 'warning',
    happens: 'alter table readings_2026_02 owner to OTHER',
    partitions: FEBRUARY,
  },
  {
    kind: 'grants',
    severity: 'warning',
    happens: 'revoke select on readings_2026_02 from ROLE',
    partitions: FEBRUARY,
  },
  {
    kind: 'grants',
    severity: 'warning',
    happens: 'grant insert (value) on readings_2026_02 to public',
    partitions: FEBRUARY,
  },
  {
    kind: 'row_security',
    severity: 'warning',
    happens: 'alter table readings_2026_02 disable row level security',
    partitions: FEBRUARY,
  },
  {
    kind: 'row_security',
    severity: 'warning',
    happens: 'create policy more on readings_2026_02 using (true)',
    partitions: FEBRUARY,
  },
  {
    kind: 'replica_identity',
    severity: 'warning',
    happens: 'alter table readings replica identity using index readings_pkey',
    partitions: ALL,
    undo: 'alter table readings replica identity default',
  },
  {
    kind: 'triggers',
    severity: 'warning',
    happens: 'alter table readings_2026_02 disable trigger stamped',
    partitions: FEBRUARY,
  },
  {
    kind: 'storage_parameters',
    severity: 'info',
    happens: 'alter table readings_2026_03 set (fillfactor = 80, toast.autovacuum_vacuum_threshold = 99)',
    partitions: OTHERS,
  },
  {
    kind: 'index_options',
    severity: 'info',
    happens: 'alter index readings_2026_03_at_idx set (autosummarize = on)',
    partitions: OTHERS,
  },
  {
    kind: 'statistics_targets',
    severity: 'info',
    happens: 'alter table only readings alter column value set statistics 500',
    partitions: ALL,
    undo: 'alter table only readings alter column value set statistics -1',
  },
];

describe('partition_drift', () => {
  let database: TestDatabase;
  let role: TestRole;
  let nobody: TestRole;
  let other: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    role = await createRole(database);
    nobody = await createRole(database);
    other = await createRole(database);
    await createReadings(database, role.name);
    // Alike to the letter, or different by design: nobody comes to the leaves but through their table.
    await database.sql.unsafe(`
      create table plain (at timestamptz not null, note text) partition by range (at);
      ${leavesOf('plain', months('2026-01', 4))}
      grant select on plain to ${role.name};
      create table by_list (region text) partition by list (region);
      create table by_list_1 partition of by_list for values in ('a') with (fillfactor = 50)`);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role, nobody, other]);
    await database.drop();
  });

  const look = async () => await inspectOnly(database, 'partition_drift');
  const run = (statements: string) =>
    database.sql.unsafe(statements.replaceAll('ROLE', role.name).replaceAll('OTHER', other.name));

  it('passes where the partitions are as their table', async () => {
    expect(await look()).toMatchObject({ exitCode: 0, findings: [], passed: ['partition_drift'] });
  });

  it.each(CASES)('finds $kind: $happens', async ({ kind, severity, happens, partitions, undo = '' }) => {
    await run(happens);
    try {
      const { findings } = await look();
      expect(findings).toMatchObject([
        {
          severity,
          object: 'public.readings',
          evidence: { kind, partitions, partitionCount: partitions.length },
          fix: [`sensordb partitions repair --table public.readings --only ${kind}`],
        },
      ]);
      expect((await inspectOnly({ url: nobody.url }, 'partition_drift')).findings).toEqual(findings);
      await applyFixes(database, findings);
      expect((await look()).findings).toEqual([]);
    } finally {
      await run(undo);
      await applyFixes(database, (await look()).findings);
    }
  });

  it('reports each kind once, and looks at no table that is locked', async () => {
    await run(`alter table readings_2026_01 owner to OTHER; alter table readings_2026_02 owner to OTHER;
      alter table readings_2026_02 alter column value set statistics 9`);
    const { findings } = await look();
    expect(
      findings.map(({ severity, evidence }) => [severity, evidence.kind, evidence.partitionCount]),
    ).toEqual([
      ['warning', 'owner', 2],
      ['info', 'statistics_targets', 1],
    ]);
    const locker = database.connect();
    await locker.unsafe('begin; lock table only readings in access exclusive mode');
    expect((await look()).findings).toMatchObject([{ check: 'locked', object: 'public.readings' }]);
    await locker.unsafe('rollback; begin; lock table readings_2026_02 in access exclusive mode');
    expect((await look()).findings).toMatchObject([
      { check: 'partition_drift', evidence: { kind: 'owner' } },
      { check: 'locked', object: 'public.readings_2026_02' },
      { check: 'partition_drift', evidence: { kind: 'statistics_targets' } },
    ]);
    await locker.unsafe('rollback');
    await applyFixes(database, findings);
    expect((await look()).findings).toEqual([]);
  });

  it('prints no command for what the repair refuses, and says why', async () => {
    await run(`grant insert on readings_2026_02 to ROLE with grant option; set role ROLE;
      grant insert on readings_2026_02 to OTHER; reset role`);
    const { findings } = await look();
    expect(findings).toMatchObject([
      { severity: 'warning', evidence: { kind: 'grants', refused: 2 }, fix: [] },
    ]);
    expect(findings[0]?.message).toMatch(/the repair says: .* cannot revoke it without CASCADE/);
    await run('revoke insert on readings_2026_02 from ROLE cascade');
    expect((await look()).findings).toEqual([]);
  });
});
