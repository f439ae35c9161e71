import type { Socket } from 'node:net';
import postgres from 'postgres';
import type { Conninfo, Endpoint } from '../conninfo/types.ts';

/** What the driver is made with. */
export interface ClientSettings {
  readonly conninfo: Conninfo;
  readonly endpoint: Endpoint;
  readonly socket: Socket;
  readonly password: () => Promise<string>;
  readonly onNotice: (notice: postgres.Notice) => void;
}

/**
 * Makes a postgres.js client that speaks over the given socket, and over no other ever.
 *
 * When a connection is lost postgres.js would open another one for the next query, silently and without the
 * locks of the first: here it finds the one socket used up, and the query fails.
 */
export function createClient(settings: ClientSettings): postgres.Sql {
  // An options object that has `shared` counts as parsed already: only then does postgres.js (3.4.9) leave
  // PGTARGETSESSIONATTRS, PGMAX, PGPREPARE and all the rest of the environment alone.
  return postgres(clientOptions(settings) as unknown as postgres.Options<Record<string, never>>);
}

function clientOptions({ conninfo, endpoint, socket, password, onNotice }: ClientSettings) {
  return {
    ...DRIVER_OPTIONS,
    host: [endpoint.host],
    port: [endpoint.port],
    path: null,
    user: conninfo.user,
    pass: password,
    database: conninfo.database,
    connection: startupParameters(conninfo),
    onnotice: onNotice,
    socket: handOverOnce(socket),
    parameters: {},
    shared: { retries: 0, typeArrayMap: {} },
  };
}

const DRIVER_OPTIONS = {
  max: 1,
  // Encryption, timeouts and the choice of a server are settled before the driver comes in.
  ssl: false,
  sslnegotiation: null,
  connect_timeout: 0,
  target_session_attrs: null,
  keep_alive: 0,
  idle_timeout: 0,
  max_lifetime: null,
  backoff: 0,
  max_pipeline: 100,
  // Named statements and a query at connect time break behind a pooler in transaction mode.
  prepare: false,
  fetch_types: false,
  no_subscribe: true,
  debug: false,
  types: {},
  transform: { undefined: undefined, column: {}, value: {}, row: {} },
  serializers: {},
  // Timestamps stay text: a Date loses microseconds and cannot hold infinity. So do int8 and numeric.
  parsers: {
    16: (text: string) => text === 't',
    17: (text: string) => Buffer.from(text.slice(2), 'hex'),
    21: Number,
    23: Number,
    26: Number,
    114: JSON.parse,
    700: Number,
    701: Number,
    3802: JSON.parse,
  },
};

// PgBouncer tracks these four for each client in transaction mode; `options` only since its version 1.20.
function startupParameters(conninfo: Conninfo): Readonly<Record<string, string>> {
  return {
    application_name: conninfo.applicationName,
    client_encoding: 'UTF8',
    DateStyle: 'ISO, MDY',
    TimeZone: 'UTC',
    ...(conninfo.options === null ? {} : { options: conninfo.options }),
    ...(conninfo.geqo === null ? {} : { geqo: conninfo.geqo }),
  };
}

function handOverOnce(socket: Socket): () => Socket {
  let handedOver = false;
  return () => {
    if (handedOver || socket.destroyed) {
      throw Object.assign(new Error('the connection is closed'), { code: 'CONNECTION_CLOSED' });
    }
    handedOver = true;
    return socket;
  };
}
