import { printable } from '../cli/table.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { readStatistics } from './list-read.ts';
import { prettyBytes } from './pretty-bytes.ts';

/** A table whose rows a command is about to touch, move or let go. */
export interface Concerned {
  readonly schema: string;
  readonly name: string;
  /** The planner's estimate; null when it was never analyzed. */
  readonly rowsEstimate: number | null;
  /** With indexes and TOAST; null while somebody holds ACCESS EXCLUSIVE on it. */
  readonly bytes: number | null;
}

/** Reads rows and bytes of tables by their OIDs, in that order; waits for no lock. */
export async function readConcerned(
  session: Session,
  oids: readonly number[],
): Promise<readonly Concerned[]> {
  if (oids.length === 0) return [];
  const names = await reading(session, async () => {
    const { rows } = await session.run<{ oid: number; schema: string; name: string }>(
      `select c.oid, n.nspname as schema, c.relname as name
         from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1::oid[])`,
      [`{${oids.join()}}`],
    );
    return new Map(rows.map((row) => [row.oid, row]));
  });
  const statistics = new Map((await readStatistics(session, oids)).map((line) => [line.oid, line]));
  return oids.flatMap((oid) => {
    const name = names.get(oid);
    if (name === undefined) return [];
    const { rowsEstimate = null, bytes = null } = statistics.get(oid) ?? {};
    return [{ schema: name.schema, name: name.name, rowsEstimate, bytes }];
  });
}

/** Says in comment lines how many rows and bytes are concerned. */
export function describeConcerned(concerned: readonly Concerned[]): string {
  return concerned
    .map(({ schema, name, rowsEstimate, bytes }) => {
      const rows =
        rowsEstimate === null ? 'never analyzed' : `about ${rowsEstimate.toLocaleString('en')} rows`;
      const size = bytes === null ? 'locked' : prettyBytes(bytes);
      return `-- concerns ${printable(schema)}.${printable(name)}: ${rows}, ${size}\n`;
    })
    .join('');
}
