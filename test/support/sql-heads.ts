import { expect } from 'vitest';
import { LOCK_MODES, type LockMode } from '../../src/db/lock-modes.ts';
import { listSqlFiles, readSqlFile } from '../../src/db/sql-files.ts';

interface Step {
  readonly sql: string;
  readonly locks: readonly { readonly relation: string; readonly mode: LockMode }[];
}

interface Head {
  readonly file: string;
  readonly statement: RegExp;
  /** The strongest mode that its comment names; -1: none. */
  readonly strongest: number;
}

/** Statements that are put together in code, and have no file. */
const WITHOUT_FILE =
  /^(with|select|insert|create (unique )?index|create policy|grant|alter publication) |^alter table .* (add constraint|attach partition|alter column) /s;

/** Makes sure that no statement locks more strongly than the comment at the head of its SQL file says. */
export function expectHeadsToTell(steps: readonly Step[]): void {
  for (const { sql, locks } of steps.filter((step) => step.locks.length > 0)) {
    const head = HEADS.find(({ statement }) => statement.test(sql));
    if (head === undefined) {
      expect(sql, 'a statement of no file').toMatch(WITHOUT_FILE);
      continue;
    }
    const modes = locks.map(({ mode }) => LOCK_MODES.indexOf(mode));
    expect(Math.max(...modes), `${head.file} in ${sql}`).toBeLessThanOrEqual(head.strongest);
  }
}

const FILES = ['partitions', 'aggregates'].flatMap((folder) =>
  listSqlFiles(folder).map((file) => `${folder}/${file}`),
);

const HEADS: readonly Head[] = FILES.map((file) => {
  const text = readSqlFile(file);
  const [comment = ''] = /^(?:--[^\n]*\n)+/.exec(text) ?? [];
  return { file, statement: asPattern(text.slice(comment.length).trim()), strongest: strongestIn(comment) };
});

/** The longest names come first: EXCLUSIVE is part of others. */
function strongestIn(comment: string): number {
  const names = LOCK_MODES.toSorted((a, b) => b.length - a.length).join('|');
  const prose = comment.replaceAll(/\s*\n--\s*/g, ' ');
  const found = [...prose.matchAll(new RegExp(`\\b(${names})\\b`, 'g'))].map(([mode]) => mode as LockMode);
  return Math.max(-1, ...found.map((mode) => LOCK_MODES.indexOf(mode)));
}

function asPattern(template: string): RegExp {
  const pattern = template
    .split(/(:"\w+"|:'\w+')/)
    .map((part) => {
      if (part.startsWith(':"')) return String.raw`(?:"(?:[^"]|"")+"|[\w$]+)`;
      if (part.startsWith(":'")) return "E?'(?:[^']|'')*'";
      return part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
    })
    .join('');
  return new RegExp(`^${pattern}$`);
}
