import { sql } from 'kysely';
import { quoteIdentifier, quoteLiteral } from '../../db/quote.ts';
import type { Check } from '../check.ts';
import { irreversibleFix } from '../fix.ts';

interface Row {
  readonly gid: string;
  readonly owner: string;
  readonly ageSeconds: number;
}

/** Finds prepared transactions that nobody has ended. */
export const preparedTransactions: Check = {
  name: 'prepared_transactions',
  area: 'activity',
  finds: 'prepared transactions that nobody has committed or rolled back',
  explanation: `PREPARE TRANSACTION leaves a transaction without a session: it keeps its locks and holds VACUUM back like an open one, over
restarts, too, until somebody ends it by name. One that is older than a moment has most often lost its transaction manager.

Whether it is to be committed or rolled back only the transaction manager knows: the fix that is printed rolls it back.`,
  thresholds: {
    warning_minutes: {
      value: 60,
      unit: 'minutes',
      source:
        'PostgreSQL’s documentation: unwise to leave transactions in the prepared state for a long time',
    },
    critical_minutes: { value: 1440, unit: 'minutes', source: 'A day: as for long transactions' },
  },
  opens: false,
  look: async ({ session, threshold }) => {
    const { rows } = await sql<Row>`
      select p.gid, p.owner::text as owner, extract(epoch from clock_timestamp() - p.prepared)::float8 as "ageSeconds"
        from pg_prepared_xacts p
       where p.database = current_database()
       order by p.prepared, p.gid`.execute(session.db);
    const old = rows.filter(({ ageSeconds }) => ageSeconds >= threshold('warning_minutes') * 60);
    const [oldest] = old;
    if (oldest === undefined) return { found: [] };
    const names = old.slice(0, 5).map(({ gid, owner }) => `${gid} of ${owner}`);
    const more = old.length > 5 ? ` and ${old.length - 5} more` : '';
    return {
      found: [
        {
          severity: oldest.ageSeconds >= threshold('critical_minutes') * 60 ? 'critical' : 'warning',
          object: quoteIdentifier(session.server.database),
          message: `Prepared and never ended, holding locks and vacuum: ${names.join(', ')}${more}.`,
          evidence: { transactions: old.length, oldestSeconds: Math.round(oldest.ageSeconds) },
          fixes: old.map(({ gid }) => irreversibleFix('session', `rollback prepared ${quoteLiteral(gid)}`)),
        },
      ],
    };
  },
};
