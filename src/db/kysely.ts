import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely';
import type { Run } from './open.ts';

/**
 * Makes a Kysely over one open connection.
 *
 * Kysely's own dialect for postgres.js reserves a connection for every query, which hangs with the settings
 * that a pooler needs; this one sends each query with `run`. Transactions are begun and ended with `run`, too.
 */
export function createKysely<DB>(run: Run): Kysely<DB> {
  return new Kysely<DB>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => createDriver(run),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

function createDriver(run: Run): Driver {
  const connection: DatabaseConnection = {
    executeQuery: (query) => executeQuery(run, query),
    streamQuery: () => {
      throw new Error('This connection streams no queries.');
    },
  };
  const done = () => Promise.resolve();
  return {
    init: done,
    acquireConnection: () => Promise.resolve(connection),
    beginTransaction: refuseTransaction,
    commitTransaction: refuseTransaction,
    rollbackTransaction: refuseTransaction,
    releaseConnection: done,
    destroy: done,
  };
}

async function executeQuery<Row>(run: Run, query: CompiledQuery): Promise<QueryResult<Row>> {
  const { rows, count, command } = await run<Row>(query.sql, query.parameters);
  if (count === null || command === 'SELECT') return { rows: [...rows] };
  return { rows: [...rows], numAffectedRows: BigInt(count) };
}

function refuseTransaction(): Promise<never> {
  return Promise.reject(new Error('Transactions are not begun or ended through Kysely.'));
}
