// Somebody's `alter role … password 'secret'` may be what blocks us, or a connection string in a query.
const SECRET =
  /(passw(?:or)?d["']?\s*(?:=>|:=|[=:,])?\s*)(?:e'(?:\\.|[^'\\])*'?|'(?:[^']|'')*'?|"[^"]*"?|[^\s,)']+)/gi;
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@']*:)[^\s@/']*(?=@)/gi;

/** Takes the passwords out of a text, such as a query or an argument, as far as they can be told; the rest of it stays as it is. */
export function maskSecrets(query: string): string {
  return query.replaceAll(SECRET, "$1'***'").replaceAll(URL_PASSWORD, '$1***');
}
