import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { readingsWorthALook, THEN } from '../support/inspected-readings.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const page = async (database: Pick<TestDatabase, 'url'>, words: readonly string[] = []) => {
  const { exitCode, stdout } = await runCli(['inspect', '--format', 'html', ...words], {
    url: database.url,
    now: THEN,
  });
  expect([0, 3]).toContain(exitCode);
  return stdout;
};

describe('the page of a report', () => {
  let database: TestDatabase;
  let text = '';
  beforeAll(async () => {
    database = await readingsWorthALook();
    text = await page(database);
  });
  afterAll(() => database.drop());

  it('is one file that asks for nothing from elsewhere', () => {
    expect(text).toMatch(/^<!doctype html>/);
    expect(text).toContain("default-src 'none'");
    expect(text).not.toMatch(/https?:|<link|<img|<iframe|@import|url\(/);
    expect(text.match(/<script/g)).toHaveLength(1);
  });

  it('draws the coverage with its gap, and says until when rows find a partition', () => {
    expect(text).toContain('no partition: 2026-02-01 to 2026-03-01');
    expect(text).toContain('sensors_sensorreading_2026_01: 2026-01-01 to 2026-02-01');
    expect(text).toContain('rows go to DEFAULT on 2026-08-01');
  });

  it('draws sizes, index use, BRIN fit and the aggregates', () => {
    expect(text).toMatch(/sensors_sensorreading_2026_04: rows \d[^,]*, indexes \d/);
    expect(text).toMatch(/reading_device_timestamp_idx: \d+ scans/);
    expect(text).toMatch(/class="good"[^>]*><title>sensors_sensorreading_2026_01: 1\.000/);
    expect(text).toMatch(/class="poor"[^>]*><title>sensors_sensorreading_2026_04: /);
    expect(text).toContain('to be counted: 2026-03-01 to 2026-04-01');
  });

  it('calls the order of rows poor only where they fill more than a page', async () => {
    const small = 'sensors_sensorreading_2026_07';
    await database.sql.unsafe(`insert into sensors_sensorreading (device_id, timestamp, value)
      select 1, timestamptz '2026-07-01+00' + (n * 7 % 20) * interval '1 hour', 1 from generate_series(1, 20) n; analyze ${small}`);
    const [row] =
      await database.sql`select abs(correlation) < 0.5 as is_poor from pg_stats where tablename = ${small} and attname = 'timestamp'`;
    expect(row?.is_poor).toBe(true);
    expect(await page(database)).toMatch(new RegExp(`class="none"[^>]*><title>${small}: `));
    await database.sql.unsafe(`truncate ${small}; analyze ${small}`);
  });

  it('shows each finding with what mends it', async () => {
    const { stdout } = await runCli(['inspect', '--json'], { url: database.url, now: THEN });
    const { findings } = JSON.parse(stdout).data;
    expect(text.match(/<article/g)).toHaveLength(findings.length);
    const fixes = findings.flatMap(({ fix }: { fix: string[] }) => fix);
    expect(fixes.length).toBeGreaterThan(0);
    expect(text.match(/<pre>/g)).toHaveLength(fixes.length);
  });

  it('leaves out what somebody has locked, and says so', async () => {
    const holder = database.connect();
    await holder.unsafe('begin; lock table sensors_sensorreading_2026_05 in access exclusive mode');
    const locked = await page(database);
    expect(locked).toContain('without 1 that somebody has locked');
    expect(locked).toContain('sensors_sensorreading_2026_05 could not be looked at');
    await holder.unsafe('rollback');
  });

  it('comes without the aggregates while somebody has locked what is kept of them, and says so', async () => {
    const holder = database.connect();
    await holder.unsafe(`begin; lock table sensordb.aggregate_source in access exclusive mode;
      lock table sensors_sensorreading_2026_05 in access exclusive mode`);
    const locked = await page(database);
    expect(locked).toContain('Aggregates: could not be drawn. A lock stood in its way again and again.');
    expect(locked).not.toContain('to be counted: 2026-03-01');
    expect(locked).toContain('without 1 that somebody has locked');
    await holder.unsafe('rollback; begin; lock table sensors_sensoraggregate in access exclusive mode');
    expect(await page(database)).toContain('to be counted: 2026-03-01');
    await holder.unsafe('rollback');
  });

  it('comes without what a role may not look at, and says so', async () => {
    const role = await createRole(database);
    try {
      await database.sql.unsafe(`create table other (at timestamptz) partition by range (at);
        create table other_1 partition of other for values from ('2026-05-01') to ('2027-06-01')`);
      const seen = await page({ url: role.url });
      expect(seen).toContain('no partition: 2026-02-01 to 2026-03-01');
      expect(seen).toContain('<h2>public.other</h2>');
      // Once for all tables.
      expect(seen.match(/Aggregates: could not be drawn/g)).toHaveLength(1);
      expect(seen).toContain('Aggregates: could not be drawn. It needs USAGE on schema sensordb');
      await database.sql`revoke select on pg_stat_all_indexes from public`;
      const unused = await page({ url: role.url });
      expect(unused).toContain('no partition: 2026-02-01 to 2026-03-01');
      expect(unused.match(/Index use: could not be drawn/g)).toHaveLength(1);
      expect(unused).toContain(
        'Index use: could not be drawn. The role may not look: permission denied for view pg_stat_all_indexes.',
      );
      await database.sql`revoke select on pg_stats from public`;
      expect(await page({ url: role.url })).toContain(
        '<h2>Pictures</h2><p>Coverage and sizes: could not be drawn. The role may not look: permission denied for view pg_stats.</p>',
      );
    } finally {
      await database.sql`drop table other`;
      await database.sql`grant select on pg_stats, pg_stat_all_indexes to public`;
      await dropRoles(database.sql, [role]);
    }
  });
});

it('has a page for a database without any table', async () => {
  const database = await createDatabase();
  const text = await page(database);
  expect(text).toContain('No table of this database is partitioned');
  expect(await page(database, ['--only', 'index_unused'])).toContain('<h2>Findings</h2><p>None.</p>');
  expect(text).not.toContain('<figure>');
  await database.drop();
});

it('spells out markup in names', async () => {
  const database = await createDatabase();
  await database.sql.unsafe(`
    create table "<script>alert(1)</script>" (t timestamptz) partition by range (t);
    create table "</title><b>&" partition of "<script>alert(1)</script>" for values from ('2026-01-01') to ('2026-07-01')`);
  const text = await page(database);
  expect(text).not.toMatch(/<script>alert|<b>&"|<\/title><b>/);
  expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(text).toContain('&lt;/title&gt;&lt;b&gt;&amp;');
  await database.drop();
});
