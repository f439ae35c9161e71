import { setTimeout as sleep } from 'node:timers/promises';
import { runMigrations } from './migrations.ts';
import { createDatabase, type TestDatabase } from './server.ts';

/** The day on which the tests of a live table run. */
export const NOW = '2026-03-10T12:00:00Z';

/** Makes a database with the application's tables, one device, and a leaf for March 2026. */
export async function liveDatabase(server?: string): Promise<TestDatabase> {
  const database = await createDatabase(server === undefined ? {} : { server });
  await runMigrations(database.sql, 'public');
  await database.sql`insert into sensors_device (name, serial_number) values ('boiler', 'b-1')`;
  await database.sql.unsafe(`create table sensors_sensorreading_2026_03 partition of sensors_sensorreading
    for values from ('2026-03-01') to ('2026-04-01')`);
  return database;
}

/** Waits until something is so; throws after ten seconds. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await isSo()) return;
    await sleep(20);
  }
  throw new Error(`It never came about that ${what}.`);
}

/** Lists the relations of schema public, with what ensure could leave half made. */
export async function relations({ sql }: TestDatabase): Promise<readonly string[]> {
  const rows = await sql<{ line: string }[]>`
    select format('%s %s %s %s', c.relkind, c.relname, c.relispartition,
                  pg_get_expr(c.relpartbound, 0)) as line
      from pg_class c where c.relnamespace = 'public'::regnamespace order by 1`;
  return rows.map(({ line }) => line);
}
