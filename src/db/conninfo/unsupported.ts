import { badSetting, type Settings, textOf, unsupportedSetting } from './settings.ts';

const DEMANDS: Readonly<Record<string, string>> = {
  require_auth: 'the driver takes whatever method of authentication the server asks for',
  requirepeer: 'Node.js cannot see which user owns the other end of a Unix socket',
  scram_client_key: 'the driver logs in with a password only',
  scram_server_key: 'the driver logs in with a password only',
  sslkeylogfile: 'sensordb writes no TLS keys to a file',
  oauth_issuer: 'the driver has no OAuth',
  oauth_client_id: 'the driver has no OAuth',
  oauth_client_secret: 'the driver has no OAuth',
  oauth_scope: 'the driver has no OAuth',
};

const TUNING = ['keepalives_interval', 'keepalives_count', 'tcp_user_timeout'];

/** Refuses settings that demand what cannot be done; none of them may be ignored in silence. */
export function refuseUnsupported(settings: Settings): void {
  for (const [keyword, reason] of Object.entries(DEMANDS)) {
    const setting = settings.get(keyword);
    if (setting !== undefined && setting.value !== '') throw unsupportedSetting(keyword, setting, reason);
  }
  refuseWord(settings, 'channel_binding', ['prefer', 'disable'], 'the driver has no channel binding');
  refuseWord(settings, 'gssencmode', ['prefer', 'disable'], 'the driver has no GSSAPI encryption');
  const replication = settings.get('replication');
  if (replication !== undefined && !['', 'false', 'off', 'no', '0'].includes(replication.value)) {
    throw unsupportedSetting('replication', replication, 'a replication connection runs no SQL of sensordb');
  }
  const lowest = settings.get('min_protocol_version');
  if (lowest !== undefined && !['', '3.0'].includes(lowest.value)) {
    throw unsupportedSetting('min_protocol_version', lowest, 'the driver speaks version 3.0 of the protocol');
  }
}

/** Warns of settings that only tune the connection and that Node.js has no means to pass on. */
export function unsupportedWarnings(settings: Settings): readonly string[] {
  const tuned = TUNING.filter((keyword) => textOf(settings, keyword) !== null);
  const warnings = tuned.map(
    (keyword) =>
      `The setting ${keyword} in ${settings.get(keyword)?.source} has no effect: Node.js cannot set it.`,
  );
  const encoding = settings.get('client_encoding');
  if (encoding === undefined || /^(?:|auto|utf-?8|unicode)$/i.test(encoding.value)) return warnings;
  return [
    ...warnings,
    `The setting client_encoding in ${encoding.source} has no effect: sensordb uses UTF-8.`,
  ];
}

function refuseWord(settings: Settings, keyword: string, fine: readonly string[], reason: string): void {
  const setting = settings.get(keyword);
  if (setting === undefined) return;
  if (setting.value === 'require') throw unsupportedSetting(keyword, setting, reason);
  if (!fine.includes(setting.value))
    throw badSetting(keyword, setting, `it is one of ${[...fine, 'require'].join(', ')}`);
}
