import {
  type CompiledQuery,
  type ConnectionProvider,
  type DatabaseConnection,
  DefaultQueryExecutor,
  PostgresAdapter,
  PostgresQueryCompiler,
  QueryCreator,
  type QueryExecutorProvider,
  type QueryResult,
} from 'kysely';
import type { Run } from './open.ts';

/** Kysely's queries: selectFrom, insertInto, updateTable, deleteFrom, and what sql`…`.execute() takes. */
export type Queries<DB> = QueryCreator<DB> & QueryExecutorProvider;

/**
 * Makes Kysely's queries over one open connection.
 *
 * The class `Kysely` is left out, with its schema builder, introspection and transactions: nothing here uses them, and they
 * are a quarter of what every start would have to load. So is its dialect for postgres.js, which reserves a
 * connection for every query and hangs with the settings that a pooler needs. Transactions are begun and ended with `run`.
 */
export function createKysely<DB>(run: Run): Queries<DB> {
  const connection: DatabaseConnection = {
    executeQuery: (query) => executeQuery(run, query),
    streamQuery: () => {
      throw new Error('This connection streams no queries.');
    },
  };
  const provider: ConnectionProvider = { provideConnection: (consumer) => consumer(connection) };
  const executor = new DefaultQueryExecutor(new PostgresQueryCompiler(), new PostgresAdapter(), provider);
  return Object.assign(new QueryCreator<DB>({ executor }), { getExecutor: () => executor });
}

async function executeQuery<Row>(run: Run, query: CompiledQuery): Promise<QueryResult<Row>> {
  const { rows, count, command } = await run<Row>(query.sql, query.parameters);
  if (count === null || command === 'SELECT') return { rows: [...rows] };
  return { rows: [...rows], numAffectedRows: BigInt(count) };
}
