import { join } from 'node:path';
import { badSetting, type Settings, textOf, unsupportedSetting, wordOf } from './settings.ts';
import type { SslMode, TlsSettings, TlsVersion } from './types.ts';

const MODES: readonly SslMode[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];
const WEAK_MODES: readonly SslMode[] = ['disable', 'allow', 'prefer'];
const VERSIONS: readonly TlsVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/** Resolves everything that concerns TLS; the files are named here and read when a connection is made. */
export function resolveTls(settings: Settings, home: string): TlsSettings {
  const file = (keyword: string, name: string) =>
    textOf(settings, keyword) ?? join(home, '.postgresql', name);
  const rootCert = file('sslrootcert', 'root.crt');
  const mode = resolveMode(settings, rootCert);
  const certMode = wordOf(settings, 'sslcertmode', ['allow', 'disable', 'require'], 'allow');
  const certSetting = settings.get('sslcertmode');
  if (certMode === 'require' && certSetting !== undefined) {
    throw unsupportedSetting(
      'sslcertmode',
      certSetting,
      'it cannot be seen whether the server asked for the certificate',
    );
  }
  const passphrase = textOf(settings, 'sslpassword');
  return {
    mode,
    direct: resolveDirect(settings, mode),
    rootCert,
    cert: certMode === 'disable' ? null : file('sslcert', 'postgresql.crt'),
    key: file('sslkey', 'postgresql.key'),
    passphrase: passphrase === null ? null : () => passphrase,
    crl: file('sslcrl', 'root.crl'),
    crlIsRequired: textOf(settings, 'sslcrl') !== null,
    crlDirectory: textOf(settings, 'sslcrldir'),
    sni: wordOf(settings, 'sslsni', ['1', '0', ''], '1') !== '0',
    ...resolveVersions(settings),
  };
}

function resolveMode(settings: Settings, rootCert: string): SslMode {
  const mode = wordOf(settings, 'sslmode', MODES, rootCert === 'system' ? 'verify-full' : 'prefer');
  const setting = settings.get('sslmode');
  // Anyone can get a certificate from some public authority for a host of one's own (libpq 16 refuses it too).
  if (rootCert === 'system' && mode !== 'verify-full' && setting !== undefined) {
    throw badSetting('sslmode', setting, 'sslrootcert=system goes with verify-full only');
  }
  return mode;
}

function resolveDirect(settings: Settings, mode: SslMode): boolean {
  const setting = settings.get('sslnegotiation');
  const direct = wordOf(settings, 'sslnegotiation', ['postgres', 'direct'], 'postgres') === 'direct';
  if (direct && setting !== undefined && WEAK_MODES.includes(mode)) {
    throw badSetting(
      'sslnegotiation',
      setting,
      `sslmode ${mode} is too weak for it; use require, verify-ca or verify-full`,
    );
  }
  return direct;
}

function resolveVersions(settings: Settings): Pick<TlsSettings, 'minVersion' | 'maxVersion'> {
  const minVersion = versionOf(settings, 'ssl_min_protocol_version', 'TLSv1.2');
  const maxVersion = versionOf(settings, 'ssl_max_protocol_version', 'TLSv1.3');
  const setting = settings.get('ssl_max_protocol_version') ?? settings.get('ssl_min_protocol_version');
  if (setting !== undefined && VERSIONS.indexOf(minVersion) > VERSIONS.indexOf(maxVersion)) {
    throw badSetting('ssl_max_protocol_version', setting, `it is below the lowest allowed, ${minVersion}`);
  }
  return { minVersion, maxVersion };
}

// libpq compares these without regard to case, and takes an empty one for the default.
function versionOf(settings: Settings, keyword: string, fallback: TlsVersion): TlsVersion {
  const setting = settings.get(keyword);
  if (setting === undefined || setting.value === '') return fallback;
  const version = VERSIONS.find((candidate) => candidate.toLowerCase() === setting.value.toLowerCase());
  if (version === undefined) throw badSetting(keyword, setting, `it is one of ${VERSIONS.join(', ')}`);
  return version;
}
