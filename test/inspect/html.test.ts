import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { readingsWorthALook, THEN } from '../support/inspected-readings.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const page = async (database: TestDatabase, words: readonly string[] = []) => {
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
});

it('has a page for a database without any table', async () => {
  const database = await createDatabase();
  const text = await page(database);
  expect(text).toContain('<h2>Findings</h2><p>None.</p>');
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
