// Node's own modules that take a millisecond or more to load and that most runs have no use for. Statically imported, they would
// be loaded at every start.

/** Gives Node's `crypto`, loaded at its first use. */
export function nodeCrypto(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto');
}

/** Gives Node's `tls`, loaded at its first use. */
export function nodeTls(): typeof import('node:tls') {
  return process.getBuiltinModule('node:tls');
}

/** Gives Node's `dns/promises`, loaded at its first use. */
export function nodeDns(): typeof import('node:dns/promises') {
  return process.getBuiltinModule('node:dns/promises');
}
