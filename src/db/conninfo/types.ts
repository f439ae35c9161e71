/** How much TLS a connection wants; the words and meanings are libpq's `sslmode`. */
export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** Which of several servers will do; the words and meanings are libpq's. */
export type TargetSessionAttrs =
  | 'any'
  | 'read-write'
  | 'read-only'
  | 'primary'
  | 'standby'
  | 'prefer-standby';

/** TLS versions that OpenSSL and PostgreSQL both know. */
export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** One server to try. */
export interface Endpoint {
  /** A host name, a numeric address, or the directory of a Unix socket. */
  readonly host: string;
  /** The numeric address to dial in place of looking `host` up. */
  readonly hostaddr: string | null;
  readonly port: number;
  readonly isSocket: boolean;
  /** Gives the password; a function, so that neither JSON nor a debugger's dump of the settings shows it. */
  readonly password: (() => string) | null;
}

/** What TLS needs, as paths: the files are read when a TCP connection is made, as libpq does. */
export interface TlsSettings {
  readonly mode: SslMode;
  /** Sends the TLS handshake at once, without asking first (PostgreSQL 17). */
  readonly direct: boolean;
  /** A file of trusted certificates, or `system` for those of the machine. */
  readonly rootCert: string;
  readonly cert: string | null;
  readonly key: string;
  readonly passphrase: (() => string) | null;
  readonly crl: string;
  /** A revocation list somebody named must exist; the default one need not. */
  readonly crlIsRequired: boolean;
  readonly crlDirectory: string | null;
  readonly sni: boolean;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
}

/** Everything that is needed to open a connection; nothing of it is read from the environment again. */
export interface Conninfo {
  readonly endpoints: readonly [Endpoint, ...Endpoint[]];
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  /** Server settings in the form of PGOPTIONS, sent as the startup parameter `options`. */
  readonly options: string | null;
  /** The planner setting that libpq sends for PGGEQO. */
  readonly geqo: string | null;
  /** For one address, not for all of them; 0 waits for ever. */
  readonly connectTimeoutSeconds: number;
  readonly targetSessionAttrs: TargetSessionAttrs;
  readonly shuffleHosts: boolean;
  /** Seconds of silence before TCP probes the server, 0 for the system's default; null turns probes off. */
  readonly keepaliveSeconds: number | null;
  readonly tls: TlsSettings;
  /** Where the password stood, or null without one: one from `--url` is on show in the process list. */
  readonly passwordSource: string | null;
  readonly warnings: readonly string[];
}

/** What the connection settings are resolved from. */
export interface ConninfoInput {
  /** The value of `--url`. */
  readonly url?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** HOME by default. */
  readonly home?: string | undefined;
  /** The name of the operating system's user by default. */
  readonly osUser?: string | undefined;
  /** Where a server's Unix socket is looked for when no host is given. */
  readonly socketDirectories?: readonly string[] | undefined;
}
