import type { Conninfo, Endpoint } from './types.ts';

/** Names what a connection goes to, for messages: `user@host:port/database`, never a password. */
export function describeConninfo(conninfo: Conninfo): string {
  const places = conninfo.endpoints.map(describeEndpoint).join(',');
  return `${conninfo.user}@${places}/${conninfo.database}`;
}

/** Names one server: `host:port`, an IPv6 address in brackets. */
export function describeEndpoint(endpoint: Endpoint): string {
  return `${endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
}
