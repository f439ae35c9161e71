import { randomBytes } from 'node:crypto';
import type { Sql } from 'postgres';
import type { TestDatabase } from './server.ts';

/** A login role of a test's own; roles belong to the whole server, so its name is made up. */
export interface TestRole {
  readonly name: string;
  /** The database's conninfo URL for this role. */
  readonly url: string;
}

/** Makes a login role without any right; `attributes` are those of CREATE ROLE. */
export async function createRole(database: TestDatabase, attributes = ''): Promise<TestRole> {
  const name = `role_${randomBytes(6).toString('hex')}`;
  await database.sql.unsafe(`create role ${name} login password '${name}' ${attributes}`);
  return { name, url: asRole(database.url, name) };
}

/** Drops roles and all they own in the database; before the database itself is dropped. */
export async function dropRoles(sql: Sql, roles: readonly TestRole[]): Promise<void> {
  for (const { name } of roles) await sql.unsafe(`drop owned by ${name} cascade`);
  for (const { name } of roles) await sql.unsafe(`drop role ${name}`);
}

function asRole(url: string, role: string): string {
  return url.replace(/^(postgres(?:ql)?:\/\/)(?:[^@/?]*@)?/, `$1${role}:${role}@`);
}
