import { printable } from '../cli/table.ts';
import { qualifiedName, quoteIdentifier } from '../db/quote.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { Step, StepLock } from '../db/step.ts';
import type { Drift, Finding, Member, Statement } from './drift.ts';
import { splitOption } from './leaf-steps.ts';
import type { IndexTemplate } from './leaf-template.ts';
import { guarded, guardIndex } from './repair-guard.ts';
import { setIndexOption } from './repair-options.ts';
import type { IndexName } from './repair-read-indexes.ts';

/** An index that is there. */
export interface KnownIndex extends IndexName {
  readonly oid: number;
}

/** A piece of work on one leaf: it succeeds or fails alone. */
export interface Job {
  readonly member: Member;
  readonly drifts: readonly Drift[];
  readonly steps: readonly Step[];
  /** What its first steps drop, one each. */
  readonly drops: readonly KnownIndex[];
  /** What its first step builds anew. */
  readonly rebuilds: KnownIndex | null;
  /** The index that its CREATE INDEX CONCURRENTLY leaves invalid when it is interrupted. */
  readonly builds: IndexName | null;
  /** What has to have succeeded before. */
  readonly needs: Job | null;
  /** The index that is valid once it is done. */
  readonly validates: number | null;
}

/** An index that others are attached to, and its table. */
export interface ParentIndex extends IndexName {
  /** Null: it is still to be made. */
  readonly oid: number | null;
  readonly relation: string;
}

type Piece = readonly Statement[] | Statement;

/** Makes a job of statements that stand alone, and of lists of them that share a transaction, which is guarded. */
export function makeJob(
  member: Member,
  drifts: readonly Drift[],
  pieces: readonly Piece[],
  more: Partial<Pick<Job, 'drops' | 'rebuilds' | 'builds' | 'needs' | 'validates'>> = {},
): Job {
  const title = `Repair ${printable(member.name)}`;
  let last = 0;
  const steps = pieces.flatMap((piece): readonly Step[] => {
    if ('sql' in piece) return [{ ...piece, title, transaction: null }];
    last += 1;
    return guarded(member, piece).map((statement) => ({ ...statement, title, transaction: last }));
  });
  return {
    member,
    drifts,
    steps,
    drops: [],
    rebuilds: null,
    builds: null,
    needs: null,
    validates: null,
    ...more,
  };
}

/** Makes one job of all that an ALTER mends on a leaf: one transaction. */
export function alterJob(member: Member, findings: readonly Finding[], needs: Job | null = null): Job {
  const statements = findings.flatMap(({ fix }) => (fix.how === 'alter' ? fix.statements : []));
  return makeJob(
    member,
    findings.map(({ drift }) => drift),
    [statements],
    { needs },
  );
}

function concurrently(file: string, member: Member, { schema, name }: IndexName): Statement {
  const mode = 'SHARE UPDATE EXCLUSIVE' as const;
  return {
    sql: sqlStatement(`partitions/${file}`, { schema, index: name }),
    locks: [
      { relation: member.qualified, mode },
      { relation: qualifiedName(schema, name), mode },
    ],
  };
}

/** Drops an invalid index that stands on nothing and nothing stands on. */
export function dropIndex(member: Member, index: IndexName): Statement {
  return concurrently('drop_index_concurrently.sql', member, index);
}

/** Builds an invalid index anew. */
export function reindex(member: Member, index: IndexName): Statement {
  return concurrently('reindex_index_concurrently.sql', member, index);
}

/** Builds an index beside readers and writers. */
export function buildIndex(member: Member, index: IndexTemplate, name: string): Statement {
  return {
    sql: `create ${index.unique ? 'unique ' : ''}index concurrently ${quoteIdentifier(name)} on ${member.qualified} using ${inTablespace(index)}`,
    locks: [{ relation: member.qualified, mode: 'SHARE UPDATE EXCLUSIVE' }],
  };
}

/** Writes the tablespace where CREATE INDEX takes it: before WHERE. default_tablespace cannot be set for one statement alone. */
function inTablespace({ definition, predicate, tablespace }: IndexTemplate): string {
  if (tablespace === null) return definition;
  const where = predicate === null ? '' : ` WHERE ${predicate}`;
  const head = definition.slice(0, definition.length - where.length);
  return `${head} tablespace ${quoteIdentifier(tablespace)}${where}`;
}

/** Makes an index of a partitioned leaf that is valid once each of its own partitions has attached its own. */
export function createOnly(member: Member, index: IndexTemplate, name: string): Statement {
  const { qualified: relation } = member;
  return index.constraintType === null
    ? {
        sql: `create ${index.unique ? 'unique ' : ''}index ${quoteIdentifier(name)} on only ${relation} using ${inTablespace(index)}`,
        locks: [{ relation, mode: 'SHARE' }],
      }
    : {
        sql: `alter table only ${relation} add constraint ${quoteIdentifier(name)} ${index.constraintDefinition}`,
        locks: [{ relation, mode: 'ACCESS EXCLUSIVE' }],
      };
}

/** Makes the primary key or unique constraint that stands on an index. */
export function addConstraint(member: Member, index: IndexTemplate, { schema, name }: IndexName): Statement {
  const kind = index.constraintType === 'p' ? 'primary key' : 'unique';
  const quoted = quoteIdentifier(name);
  return {
    sql: `alter table ${member.qualified} add constraint ${quoted} ${kind} using index ${quoted}${index.constraintTiming}`,
    locks: [
      { relation: member.qualified, mode: 'ACCESS EXCLUSIVE' },
      { relation: qualifiedName(schema, name), mode: 'ACCESS SHARE' },
    ],
  };
}

/** Attaches an index of a leaf to its parent's; of one that is attached it makes the parent's valid, if all are. */
export function attachIndex(child: IndexName, childRelation: string, parent: ParentIndex): Statement {
  const lock = (relation: string, mode: StepLock['mode']): StepLock => ({ relation, mode });
  return {
    sql: sqlStatement('partitions/attach_index.sql', {
      parent_schema: parent.schema,
      parent_index: parent.name,
      schema: child.schema,
      index: child.name,
    }),
    locks: [
      lock(qualifiedName(child.schema, child.name), 'ACCESS EXCLUSIVE'),
      lock(qualifiedName(parent.schema, parent.name), 'SHARE UPDATE EXCLUSIVE'),
      lock(parent.relation, 'ACCESS SHARE'),
      lock(childRelation, 'ACCESS SHARE'),
    ],
  };
}

/** Gives a leaf's index what its definition does not hold: storage parameters and the comment. */
export function furnishIndex(member: Member, index: IndexTemplate, name: IndexName): readonly Statement[] {
  const { schema } = name;
  const options = index.options.map((option) => setIndexOption(name, splitOption(option)));
  const guard = guardIndex(member, name);
  if (index.comment === null) return options.length === 0 ? [] : [...options, guard];
  const comment = sqlStatement('partitions/comment_on_index.sql', {
    schema,
    index: name.name,
    comment: index.comment,
  });
  const relation = qualifiedName(schema, name.name);
  return [...options, { sql: comment, locks: [{ relation, mode: 'SHARE UPDATE EXCLUSIVE' }] }, guard];
}
