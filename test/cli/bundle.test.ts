import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { spawnCli } from '../support/cli.ts';
import { createFolder } from '../support/folder.ts';
import { liveDatabase } from '../support/live.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import type { TestDatabase } from '../support/server.ts';

// The other tests run the sources. What bundling and minifying may break is asked of the bundle itself.

let database: TestDatabase;
beforeEach(async () => {
  database = await liveDatabase();
});
afterEach(() => database.drop());

async function sensordb(...words: readonly string[]) {
  const { exitCode, json } = await spawnCli([...words, '--json'], { url: database.url }).ended;
  return { exitCode, ...json() };
}

describe('the bundle tells errors of the server apart', () => {
  it('a lock from a failure: it is tried again, and then busy, naming who holds it', async () => {
    const other = await database.connect();
    await other.unsafe('begin; lock table sensors_sensorreading_default in access exclusive mode');
    const { exitCode, error } = await sensordb('partitions', 'ensure', '--months', '1', '--wait', '300ms');
    expect(exitCode).toBe(5);
    expect(error).toMatchObject({ code: 'lock_budget_spent', sqlstate: '55P03' });
    const list = await sensordb('partitions', 'list');
    expect([list.exitCode, list.data.defaultRows]).toEqual([0, null]);
    await other.unsafe('rollback');
    await other.end();
  });

  it('a conflict from a failure', async () => {
    await database.sql.unsafe(`create function drop_in() returns event_trigger language plpgsql as $$
      begin
        if tg_tag = 'ALTER TABLE' then raise exception 'too late' using errcode = '42P17'; end if;
      end $$;
      create event trigger late on ddl_command_end execute function drop_in()`);
    const { exitCode, data } = await sensordb('partitions', 'ensure', '--months', '0');
    await database.sql.unsafe('drop event trigger late');
    expect([exitCode, data.conflicts[0].reason]).toEqual([3, 'overlap']);
  });

  it('a missing privilege from a failure: what may be seen is listed', async () => {
    const role = await createRole(database);
    const { exitCode, json } = await spawnCli(['partitions', 'list', '--json'], { url: role.url }).ended;
    expect([exitCode, json().data.defaultRows]).toEqual([0, null]);
    expect(json().warnings).toEqual([expect.objectContaining({ code: 'default_not_counted' })]);
    await dropRoles(database.sql, [role]);
  });
});

it('reads a config file', async () => {
  const folder = createFolder({ 'sensordb.yaml': 'inspect:\n  skip: [no_such_check]\n' });
  const run = spawnCli(['inspect', '--config', `${folder.path}/sensordb.yaml`], { url: database.url });
  const { exitCode, stderr } = await run.ended;
  folder.remove();
  expect({ exitCode, stderr }).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('"no_such_check" is not a check'),
  });
});
