import { createConnection, createServer, type Socket } from 'node:net';

/** A statement on its way through the proxy: a Query or a Parse message. */
export interface PassingStatement {
  /** From 1, over all connections of the proxy. */
  readonly number: number;
  readonly text: string;
  /** The server process that it goes to. */
  readonly backendPid: number;
  /** Breaks the connection on both sides, as a killed client does. */
  readonly cut: () => void;
}

/** What happens to statements on their way; the statement waits until the promise is through. */
export interface ProxyHooks {
  readonly before?: (statement: PassingStatement) => void | Promise<void>;
  /** Called once the server has answered, before the client hears of it. */
  readonly after?: (statement: PassingStatement) => void | Promise<void>;
}

/** A proxy between a client and a PostgreSQL server. */
export interface StatementProxy {
  /** A conninfo URL that leads through the proxy. */
  readonly url: string;
  /** The texts of the statements so far. */
  readonly statements: readonly string[];
  readonly close: () => Promise<void>;
}

/** Starts a proxy for the server and the database of a conninfo URL, without TLS. */
export async function startProxy(url: string, hooks: ProxyHooks = {}): Promise<StatementProxy> {
  const statements: string[] = [];
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = createConnection(serverAddress(url));
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        server.destroy();
      });
    }
    relay(client, server, hooks, statements);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as { port: number };
  return {
    url: proxied(url, port),
    statements,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

function serverAddress(url: string): { path: string } | { host: string; port: number } {
  const [base = '', query = ''] = url.split('?');
  const parameters = new URLSearchParams(query);
  const [, host, port] = /@([^:/]*)(?::(\d+))?\//.exec(base) ?? [];
  const name = parameters.get('host') || host || 'localhost';
  const number = Number(parameters.get('port') ?? port ?? 5432);
  return name.startsWith('/') ? { path: `${name}/.s.PGSQL.${number}` } : { host: name, port: number };
}

function proxied(url: string, port: number): string {
  const [base = '', query = ''] = url.split('?');
  const parameters = new URLSearchParams(query);
  for (const name of ['host', 'port', 'sslmode']) parameters.delete(name);
  parameters.set('sslmode', 'disable');
  return `${base.replace(/@[^/]*\//, `@127.0.0.1:${port}/`)}?${parameters}`;
}

/** What the two directions of one connection have to know of each other. */
interface Link {
  backendPid: number;
  passing: PassingStatement | null;
}

function relay(client: Socket, server: Socket, hooks: ProxyHooks, statements: string[]): void {
  const link: Link = { backendPid: 0, passing: null };
  const cut = () => {
    client.destroy();
    server.destroy();
  };
  eachMessage(client, true, async (message) => {
    const text = statementText(message);
    if (text !== null) {
      const number = statements.push(text);
      link.passing = { number, text, backendPid: link.backendPid, cut };
      await hooks.before?.(link.passing);
    }
    if (!server.destroyed) server.write(message);
  });
  eachMessage(server, false, async (message) => {
    if (message[0] === BACKEND_KEY_DATA) link.backendPid = message.readUInt32BE(5);
    if (message[0] === READY_FOR_QUERY && link.passing !== null) {
      const { passing } = link;
      link.passing = null;
      await hooks.after?.(passing);
    }
    if (!client.destroyed) client.write(message);
  });
}

const QUERY = 0x51;
const PARSE = 0x50;
const BACKEND_KEY_DATA = 0x4b;
const READY_FOR_QUERY = 0x5a;

function statementText(message: Buffer): string | null {
  if (message[0] === QUERY) return message.toString('utf8', 5, message.length - 1);
  if (message[0] !== PARSE) return null;
  const start = message.indexOf(0, 5) + 1; // The name of the prepared statement comes first.
  return message.toString('utf8', start, message.indexOf(0, start));
}

/** Cuts a stream into messages and hands them on one after the other; a client's first one has no type byte. */
function eachMessage(socket: Socket, isClient: boolean, handle: (message: Buffer) => Promise<void>): void {
  let pending: Buffer = Buffer.alloc(0);
  let header = isClient ? 0 : 1;
  let queue = Promise.resolve();
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= header + 4) {
      const end = header + pending.readUInt32BE(header);
      if (pending.length < end) return;
      const message = pending.subarray(0, end);
      pending = pending.subarray(end);
      header = 1;
      queue = queue.then(() => handle(message));
    }
  });
}
