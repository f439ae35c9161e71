import { existsSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { usageError } from '../../cli/errors.ts';
import { nodeTls } from '../builtins/lazy.ts';
import type { Endpoint, TlsSettings } from '../conninfo/types.ts';

/** Where Linux and BSD systems keep the certificates they trust, for `sslrootcert=system`. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** Reads the certificates and keys for a connection to one server, and says how its certificate is checked. */
export function loadTls(settings: TlsSettings, endpoint: Endpoint): ConnectionOptions {
  return {
    ...loadTrust(settings, endpoint),
    ...loadIdentity(settings),
    minVersion: settings.minVersion,
    maxVersion: settings.maxVersion,
    // An address is no name that a server could choose a certificate by (RFC 6066, section 3).
    servername: settings.sni && isIP(endpoint.host) === 0 ? endpoint.host : '',
    // PostgreSQL 17 demands it of direct TLS; older servers ignore it.
    ALPNProtocols: ['postgresql'],
  };
}

// As in libpq a root certificate that exists is used in every mode, so that require with one is verify-ca.
function loadTrust(settings: TlsSettings, endpoint: Endpoint): ConnectionOptions {
  const system = settings.rootCert === 'system';
  if (!system && !existsSync(settings.rootCert)) {
    if (!settings.mode.startsWith('verify')) return { rejectUnauthorized: false };
    throw badFile(settings.rootCert, `The root certificate file ${settings.rootCert} does not exist.`, {
      hint: 'Provide the file, name another with sslrootcert, use sslrootcert=system, or change sslmode.',
    });
  }
  if (settings.mode === 'verify-full' && endpoint.host === endpoint.hostaddr) {
    throw badFile('host', 'sslmode verify-full needs a host name to compare the certificate with.', {
      hint: 'Give host as well as hostaddr.',
    });
  }
  const crl = loadRevocations(settings);
  return {
    rejectUnauthorized: true,
    ca: system ? loadSystemRoots() : readFile(settings.rootCert),
    ...(crl.length === 0 ? {} : { crl: [...crl] }),
    checkServerIdentity:
      settings.mode === 'verify-full'
        ? (_, certificate) => nodeTls().checkServerIdentity(endpoint.host, certificate)
        : () => undefined,
  };
}

function loadSystemRoots(): string | string[] {
  const bundle = [process.env.SSL_CERT_FILE, ...SYSTEM_BUNDLES].find((path) => path && existsSync(path));
  return bundle === undefined ? [...nodeTls().rootCertificates] : readFile(bundle);
}

function loadRevocations(settings: TlsSettings): readonly string[] {
  const single = settings.crlIsRequired || existsSync(settings.crl) ? [readFile(settings.crl)] : [];
  if (settings.crlDirectory === null) return single;
  const directory = settings.crlDirectory;
  if (!existsSync(directory))
    throw badFile(directory, `The directory ${directory} of sslcrldir does not exist.`);
  return [...single, ...readdirSync(directory).map((name) => readFile(join(directory, name)))];
}

// A client certificate that does not exist is none, even one that was named: so it is in libpq.
function loadIdentity(settings: TlsSettings): ConnectionOptions {
  if (settings.cert === null || !existsSync(settings.cert)) return {};
  const facts = statSync(settings.key, { throwIfNoEntry: false });
  if (facts === undefined) {
    throw badFile(
      settings.key,
      `There is a certificate ${settings.cert}, but no private key file ${settings.key}.`,
    );
  }
  if (!facts.isFile())
    throw badFile(settings.key, `The private key file ${settings.key} is not a plain file.`);
  if (isReadableByOthers(facts)) {
    throw badFile(settings.key, `The private key file ${settings.key} has group or world access.`, {
      hint: 'Its permissions must be u=rw (0600) or less if you own it, u=rw,g=r (0640) or less if root does.',
    });
  }
  return {
    cert: readFile(settings.cert),
    key: readFile(settings.key),
    ...(settings.passphrase === null ? {} : { passphrase: settings.passphrase() }),
  };
}

function isReadableByOthers(facts: Stats): boolean {
  return (facts.mode & (facts.uid === 0 ? 0o037 : 0o077)) !== 0;
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw badFile(path, `The file ${path} cannot be read.`, { cause });
  }
}

function badFile(object: string, message: string, details: { hint?: string; cause?: unknown } = {}) {
  return usageError('bad_connection_setting', message, { object, ...details });
}
