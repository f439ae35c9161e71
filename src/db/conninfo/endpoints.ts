import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { findPassword } from './password-file.ts';
import { badSetting, type Setting, type Settings, textOf } from './settings.ts';
import type { Endpoint } from './types.ts';

/** PostgreSQL's own port, where none is given. */
const DEFAULT_PORT = 5432;

/** Compiled-in socket directories: that of Debian's and Red Hat's packages, then that of PostgreSQL's sources. */
export const SOCKET_DIRECTORIES: readonly string[] = ['/var/run/postgresql', '/tmp'];

/** What decides on the endpoints besides hosts and ports. */
export interface EndpointContext {
  readonly user: string;
  readonly database: string;
  readonly socketDirectories: readonly string[];
  /** The lines of the password file, which serve where no setting holds a password. */
  readonly passwordLines: readonly string[];
}

interface Place {
  readonly host: string;
  readonly hostaddr: string | null;
  readonly port: number;
}

/** Pairs hosts, addresses and ports, fills in their defaults, and finds the password of each. */
export function resolveEndpoints(
  settings: Settings,
  context: EndpointContext,
): readonly [Endpoint, ...Endpoint[]] {
  const [first, ...others] = resolvePlaces(settings, context.socketDirectories);
  const password = textOf(settings, 'password');
  const complete = (place: Place): Endpoint => {
    const found =
      password ??
      findPassword(context.passwordLines, {
        ...context,
        port: place.port,
        host: nameInPasswordFile(place.host),
      });
    return { ...place, isSocket: isSocketPath(place.host), password: found === null ? null : () => found };
  };
  return [complete(first), ...others.map(complete)];
}

function resolvePlaces(settings: Settings, directories: readonly string[]): readonly [Place, ...Place[]] {
  const hosts = listOf(settings, 'host');
  const hostaddrs = listOf(settings, 'hostaddr');
  const setting = settings.get('hostaddr');
  if (
    setting !== undefined &&
    hosts.length > 0 &&
    hostaddrs.length > 0 &&
    hosts.length !== hostaddrs.length
  ) {
    throw badSetting('hostaddr', setting, `it lists ${hostaddrs.length} addresses for ${hosts.length} hosts`);
  }
  const ports = resolvePorts(settings, Math.max(hosts.length, hostaddrs.length, 1));
  const placeAt = (port: number, index: number): Place => {
    const hostaddr = hostaddrs[index] || null;
    if (setting !== undefined && hostaddr !== null && isIP(hostaddr) === 0) {
      throw badSetting('hostaddr', setting, 'it is a numeric IPv4 or IPv6 address');
    }
    const host = hosts[index] || hostaddr || defaultHost(port, directories);
    return { host, port, hostaddr: isSocketPath(host) ? null : hostaddr };
  };
  const [first, ...others] = ports;
  return [placeAt(first, 0), ...others.map((port, index) => placeAt(port, index + 1))];
}

// One port serves all hosts, an empty one is the default.
function resolvePorts(settings: Settings, count: number): readonly [number, ...number[]] {
  const setting = settings.get('port');
  const texts = listOf(settings, 'port');
  if (setting === undefined || texts.length === 0)
    return [DEFAULT_PORT, ...Array<number>(count - 1).fill(DEFAULT_PORT)];
  if (texts.length !== 1 && texts.length !== count) {
    throw badSetting('port', setting, `it lists ${texts.length} ports for ${count} hosts`);
  }
  const [first = DEFAULT_PORT, ...others] = texts.map((text) => readPort(text, setting));
  return texts.length === 1 ? [first, ...Array<number>(count - 1).fill(first)] : [first, ...others];
}

function readPort(text: string, setting: Setting): number {
  if (text === '') return DEFAULT_PORT;
  const port = Number(text.trim());
  if (!/^\s*\+?\d+\s*$/.test(text) || port < 1 || port > 65_535) {
    throw badSetting('port', setting, 'a port is a number from 1 to 65535');
  }
  return port;
}

function listOf(settings: Settings, keyword: string): readonly string[] {
  const value = textOf(settings, keyword);
  return value === null ? [] : value.split(',');
}

function defaultHost(port: number, directories: readonly string[]): string {
  return directories.find((directory) => existsSync(socketPath(directory, port))) ?? 'localhost';
}

/** Gives the path of a server's Unix socket; a directory that begins with @ is in Linux's abstract namespace. */
export function socketPath(directory: string, port: number): string {
  const name = `.s.PGSQL.${port}`;
  return directory.startsWith('@') ? `\0${directory.slice(1)}/${name}` : join(directory, name);
}

function isSocketPath(host: string): boolean {
  return host.startsWith('/') || host.startsWith('@');
}

// A line for localhost serves the default socket as well; a socket elsewhere is looked up by its directory.
function nameInPasswordFile(host: string): string {
  return SOCKET_DIRECTORIES.includes(host) ? 'localhost' : host;
}
