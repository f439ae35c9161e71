// Takes the place of `tls` in the driver when it is bundled: connections are encrypted before the driver sees them
// (wire.ts), and loading `tls` would take part of every start.

/** Refuses: the driver is never asked to encrypt a connection. */
export function connect(): never {
  throw new Error('The driver does not encrypt connections here.');
}

export default { connect };
