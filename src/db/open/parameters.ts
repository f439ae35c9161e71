/**
 * Writes a query parameter as PostgreSQL's text, whatever type the server finds it to have.
 *
 * postgres.js would turn a text for a json column into a JSON string, and cut a text for a timestamp down to
 * milliseconds; a text that is sent as it is cannot go wrong.
 */
export function encodeParameter(value: unknown): string | null {
  if (value === null) return null;
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      return encodeObject(value);
    default:
      throw new TypeError(`A query parameter cannot be ${typeof value}.`);
  }
}

function encodeObject(value: object): string {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return `{${value.map(encodeElement).join(',')}}`;
  return JSON.stringify(value);
}

function encodeElement(value: unknown): string {
  const text = encodeParameter(value);
  if (text === null) return 'null';
  return Array.isArray(value) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}
