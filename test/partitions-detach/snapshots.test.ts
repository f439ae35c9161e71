import { expect, it } from 'vitest';
import { connectTo } from '../support/connect.ts';
import { detach, leavesOf, readings } from '../support/detach.ts';
import { createRole, dropRoles } from '../support/roles.ts';

it('an ordinary owner sends no FINALIZE either while another role has an old snapshot', async () => {
  const database = await readings();
  const [owner, app] = [await createRole(database), await createRole(database)];
  const reader = connectTo(app.url);
  try {
    const tables = ['readings', 'device', ...(await leavesOf(database.sql))];
    await database.sql.unsafe(`grant create on database ${database.name} to ${owner.name};
      grant all on schema public to ${owner.name}; grant select on readings to ${app.name};
      ${tables.map((table) => `alter table ${table} owner to ${owner.name}`).join(';')}`);
    await reader.unsafe('begin isolation level repeatable read; select count(*) from readings');
    const run = await detach({ url: owner.url }, ['readings_2025_12', '--wait', '1s']);
    expect(run).toMatchObject({ exitCode: 5, data: { refused: [{ reason: 'blocked' }] } });
    await reader.unsafe('rollback');
    const other = connectTo(app.url);
    await other.unsafe('begin; lock table only readings in access share mode');
    await reader.unsafe('begin isolation level repeatable read; select 1 from pg_class limit 1');
    const halfway = await detach({ url: owner.url }, ['readings_2025_12', '--wait', '2s']);
    await other.unsafe('rollback');
    await other.end();
    expect(halfway.exitCode).toBe(5);
    expect(halfway.data.refused[0].message).toContain('has an old snapshot');
  } finally {
    await reader.end();
    await dropRoles(database.sql, [owner, app]);
    await database.drop();
  }
});
