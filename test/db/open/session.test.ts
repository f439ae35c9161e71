import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../../support/server.ts';
import { open, valueOn } from './support.ts';

const HBA = 'local all all trust\nhost all all 127.0.0.1/32 trust\n';

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ listen: true, hba: HBA });
});

afterAll(() => server.stop());

const tcp = (rest = '') => `host=127.0.0.1 port=${server.port} user=postgres dbname=postgres ${rest}`;

describe('the session', () => {
  it('has UTC, ISO dates, UTF-8 and a name, whatever the environment says', async () => {
    const query = `select concat_ws('|', current_setting('TimeZone'), current_setting('DateStyle'),
      current_setting('client_encoding'), current_setting('application_name')) as value`;
    const env = { PGTZ: 'Asia/Tokyo', PGDATESTYLE: 'German', PGCLIENTENCODING: 'LATIN1' };
    expect(await valueOn(tcp(), query, env)).toBe('UTC|ISO, MDY|UTF8|sensordb');
  });

  it('honours PGOPTIONS, PGAPPNAME and PGGEQO', async () => {
    const query = `select concat_ws('|', current_setting('statement_timeout'), current_setting('my.words'),
      current_setting('application_name'), current_setting('geqo')) as value`;
    const env = {
      PGOPTIONS: '-c statement_timeout=12s -c my.words=a\\ b',
      PGAPPNAME: 'mine',
      PGGEQO: 'off',
    };
    expect(await valueOn(tcp(), query, env)).toBe('12s|a b|mine|off');
  });

  it("is not touched by the driver's own reading of the environment", async () => {
    const hostile = {
      PGHOST: 'name.invalid',
      PGPORT: '1',
      PGDATABASE: 'nowhere',
      PGUSER: 'nobody_here',
      PGUSERNAME: 'nobody_here',
      PGPASSWORD: 'wrong',
      PGAPPNAME: 'theirs',
      PGTARGETSESSIONATTRS: 'any',
      PGSSL: 'require',
      PGSSLNEGOTIATION: 'direct',
      PGMAX: '0',
      PGPREPARE: 'true',
      PGFETCH_TYPES: 'true',
      PGIDLE_TIMEOUT: '0.001',
      PGMAX_LIFETIME: '0.001',
      PGCONNECT_TIMEOUT: '0.001',
      PGDEBUG: 'true',
      PGBACKOFF: '60',
    };
    const before = { ...process.env };
    try {
      for (const attrs of ['any', 'standby', 'read-only', 'nonsense']) {
        Object.assign(process.env, hostile, { PGTARGETSESSIONATTRS: attrs });
        const connection = await open(tcp());
        await delay(20);
        const { rows } = await connection.run('select pg_backend_pid() as pid, session_user::text as name');
        expect(rows).toEqual([{ pid: connection.backendPid, name: 'postgres' }]);
        await connection.close();
      }
    } finally {
      for (const name of Object.keys(hostile)) delete process.env[name];
      Object.assign(process.env, before);
    }
  });

  it('hands notices to its owner and prints none', async () => {
    const notices: (string | undefined)[] = [];
    const connection = await open(tcp(), { onNotice: (notice) => notices.push(notice.message) });
    await connection.run("do $$ begin raise notice 'look here'; end $$");
    await connection.close();
    expect(notices).toEqual(['look here']);
  });

  it('sends values as they are and gives timestamps, big numbers and arrays back as text', async () => {
    const connection = await open(tcp());
    const { rows } = await connection.run(
      `select $1::jsonb ->> 'a' as json, $2::timestamptz as at, $3::timestamptz as never, $4::text[] as texts,
              $5::bytea as bytes, $6::bool as yes, $7::int8 as big, $8::int as none, $9::jsonb ->> 0 as list,
              'infinity'::date as day, $10::timestamptz as date, 1.5::float8 as double, $11::int[] as grid`,
      [
        '{"a": "b"}',
        '2026-01-01 00:00:00.123456+00',
        '-infinity',
        ['a"b\\c', null, 'null', ''],
        new Uint8Array([0, 255]),
        true,
        2n ** 62n,
        null,
        JSON.stringify([7]),
        new Date(0),
        [
          [1, 2],
          [3, 4],
        ],
      ],
    );
    await connection.close();
    expect(rows[0]).toEqual({
      json: 'b',
      at: '2026-01-01 00:00:00.123456+00',
      never: '-infinity',
      texts: '{"a\\"b\\\\c",NULL,"null",""}',
      bytes: Buffer.from([0, 255]),
      yes: true,
      big: '4611686018427387904',
      none: null,
      list: '7',
      day: 'infinity',
      date: '1970-01-01 00:00:00+00',
      double: 1.5,
      grid: '{{1,2},{3,4}}',
    });
  });

  it('counts what a statement did, and takes the last of several statements', async () => {
    const connection = await open(tcp());
    expect(await connection.run('create temp table t (n int)')).toMatchObject({
      command: 'CREATE TABLE',
      count: null,
    });
    expect(await connection.run('insert into t values (1), (2)')).toMatchObject({
      command: 'INSERT',
      count: 2,
    });
    expect(await connection.run('delete from t where n > $1', [1])).toMatchObject({ count: 1 });
    const { rows } = await connection.run('select 1 as a; select 2 as b');
    expect(rows).toEqual([{ b: 2 }]);
    await connection.close();
  });

  it('passes on the errors of statements and goes on', async () => {
    const connection = await open(tcp());
    await expect(connection.run('select 1/0')).rejects.toMatchObject({ code: '22012' });
    await expect(connection.run('select $1::int', ['x'])).rejects.toMatchObject({ code: '22P02' });
    await expect(connection.run('select $1', [undefined])).rejects.toThrow(TypeError);
    expect((await connection.run('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await connection.close();
  });

  it('runs statements one after the other in one transaction', async () => {
    const connection = await open(tcp());
    const results = await Promise.all(
      [
        'begin',
        'create temp table u (n int) on commit drop',
        'insert into u values (1)',
        'select count(*)::int as n from u',
        'rollback',
      ].map((text) => connection.run(text)),
    );
    expect(results[3]?.rows).toEqual([{ n: 1 }]);
    await connection.close();
  });
});
