import { sql } from 'kysely';
import type { Scene } from '../scene.ts';

/** Tells whether autovacuum works on this server; it needs the counting of statistics. */
export async function readAutovacuum({ session }: Scene): Promise<boolean> {
  const { rows } = await sql<{ works: boolean }>`
    select current_setting('autovacuum')::bool and current_setting('track_counts')::bool as works`.execute(
    session.db,
  );
  return rows[0]?.works === true;
}
