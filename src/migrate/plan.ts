import type { MigrationFile } from './files.ts';

/** A line of the migration history. */
export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  /** ISO 8601, UTC. */
  readonly appliedAt: string;
  readonly appliedBy: string;
}

/** What keeps the history and the files from being one story. */
interface MigrationProblem {
  readonly version: number;
  readonly name: string;
  readonly problem: 'changed' | 'missing' | 'out_of_order';
  readonly message: string;
  readonly hint: string;
}

/** How the files of the package and the history of the database compare. */
export interface MigrationState {
  readonly applied: readonly AppliedMigration[];
  readonly pending: readonly MigrationFile[];
  readonly problems: readonly MigrationProblem[];
}

/** Compares files and history; pure. */
export function planMigrations(
  files: readonly MigrationFile[],
  applied: readonly AppliedMigration[],
): MigrationState {
  const done = new Map(applied.map((migration) => [migration.version, migration]));
  const newest = Math.max(0, ...done.keys());
  const pending = files.filter(({ version }) => !done.has(version));
  const problems = [
    ...applied.flatMap((migration) => judgeApplied(migration, files)),
    ...pending.filter(({ version }) => version < newest).map((file) => outOfOrder(file, newest)),
  ];
  problems.sort((a, b) => a.version - b.version);
  return { applied, pending, problems };
}

function judgeApplied(
  { version, name, checksum }: AppliedMigration,
  files: readonly MigrationFile[],
): readonly MigrationProblem[] {
  const file = files.find((candidate) => candidate.version === version);
  if (file === undefined) {
    return [
      {
        version,
        name,
        problem: 'missing',
        message: `Migration ${version} ${name} is applied, but this sensordb has no file for it.`,
        hint: 'The database was migrated by a newer sensordb: use that one.',
      },
    ];
  }
  if (file.checksum === checksum) return [];
  return [
    {
      version,
      name,
      problem: 'changed',
      message: `Migration ${version} ${name} was edited after it was applied: the checksum of ${file.file} differs.`,
      hint: 'Put the file back as it was, and make the change in a new migration.',
    },
  ];
}

function outOfOrder({ version, name }: MigrationFile, newest: number): MigrationProblem {
  return {
    version,
    name,
    problem: 'out_of_order',
    message: `Migration ${version} ${name} is pending, but ${newest} is applied already.`,
    hint: 'Number it after the newest one that is applied.',
  };
}
