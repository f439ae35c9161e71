import { afterAll, beforeAll, expect, it } from 'vitest';
import { splitStatements } from '../../src/db/statements.ts';
import { createEverything, serverVersion } from '../support/everything.ts';
import { allTables } from '../support/leaf-facts.ts';
import { ensure, runText } from '../support/partitions.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let real: TestDatabase;
let dry: TestDatabase;
let roles: readonly [TestRole, TestRole, TestRole];
beforeAll(async () => {
  [real, dry] = [await createDatabase(), await createDatabase()];
  roles = [await createRole(real), await createRole(real), await createRole(real)];
  const version = await serverVersion(real.sql);
  for (const { sql } of [real, dry]) {
    await createEverything(sql, version, [roles[0].name, roles[1].name]);
    await sql.unsafe(`alter table thing owner to ${roles[2].name}`);
  }
});
afterAll(async () => {
  for (const { sql } of [real, dry]) {
    for (const { name } of roles) await sql.unsafe(`drop owned by ${name} cascade`);
  }
  await dropRoles(real.sql, roles);
  await Promise.all([real.drop(), dry.drop()]);
});

const ARGUMENTS = ['-t', 'thing', '--from', '2025-12', '--months', '2'];

it('the script of a dry run leads to the very tables that the run makes', async () => {
  const before = await allTables(dry.sql);
  const { stdout, stderr, exitCode } = await runText(dry, [
    'partitions',
    'ensure',
    ...ARGUMENTS,
    '--dry-run',
  ]);
  expect({ exitCode, errors: stderr.includes('error') }).toEqual({ exitCode: 0, errors: false });
  expect(await allTables(dry.sql)).toEqual(before);
  const [concerned, first, ...lines] = stdout.split('\n');
  expect(concerned).toMatch(/^-- concerns public\.thing_default: /);
  expect(first).toBe('\\set ON_ERROR_STOP on');
  const session = dry.connect();
  for (const statement of splitStatements(lines.join('\n'))) await session.unsafe(statement.sql);

  const run = await ensure(real, ARGUMENTS);
  expect(run).toMatchObject({ exitCode: 0, changed: true });
  expect(run.data.created).toEqual([
    'thing_2025_12',
    'thing_2026_02',
    'thing_2026_03',
    'thing_2026_04',
    'thing_2026_05',
  ]);
  const [made, scripted] = [await allTables(real.sql), await allTables(dry.sql)];
  expect(Object.keys(made)).toContain('public.thing_2026_05');
  expect(scripted).toEqual(made);
});

it('a dry run of what is there has no steps', async () => {
  const { data, changed, exitCode } = await ensure(real, [...ARGUMENTS, '--dry-run']);
  expect({ exitCode, changed, steps: data.steps, created: data.created }).toEqual({
    exitCode: 0,
    changed: false,
    steps: [],
    created: [],
  });
  const { stdout } = await runText(real, ['partitions', 'ensure', ...ARGUMENTS, '--dry-run']);
  expect(stdout).toBe('-- Nothing to do.\n');
});

it('steps come with the present first, one transaction a leaf, and the locks each takes', async () => {
  const { data } = await ensure(real, ['-t', 'thing', '--from', '2025-11', '--months', '3', '-n']);
  const version = await serverVersion(real.sql);
  const steps = data.steps as { title: string; sql: string; transaction: number; locks: object[] }[];
  expect([...new Set(steps.map(({ title, transaction }) => `${transaction} ${title}`))]).toEqual([
    '1 Create thing_2026_06',
    '2 Create thing_2025_11',
  ]);
  expect(data.created).toEqual(['thing_2025_11', 'thing_2026_06']);
  expect(steps.flatMap(({ locks }) => locks).slice(0, 8)).toEqual([
    { relation: 'public.thing', mode: 'ACCESS SHARE' },
    // A policy reads it.
    { relation: 'public.acl', mode: 'ACCESS SHARE' },
    { relation: 'public.thing', mode: 'SHARE UPDATE EXCLUSIVE' },
    { relation: 'public.thing_default', mode: 'ACCESS EXCLUSIVE' },
    ...['area', 'area_all', 'device'].map((name) => ({
      relation: `public.${name}`,
      mode: 'SHARE ROW EXCLUSIVE',
    })),
    // A table that references the parent: from 15 on ATTACH keeps others from writing to it.
    { relation: 'public.reference', mode: version >= 150_000 ? 'SHARE ROW EXCLUSIVE' : 'ACCESS SHARE' },
  ]);
  expect(Object.keys(steps[0] as object).sort()).toEqual(['locks', 'sql', 'title', 'transaction']);
});
