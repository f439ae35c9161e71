import type { Style } from '../cli/style.ts';
import { drawTable, printable, tabSeparated } from '../cli/table.ts';
import type { MigrationState } from './plan.ts';

/** What is shown of a run of `migrate up`. */
export interface UpView {
  readonly schema: string;
  readonly stateOnly: boolean;
  /** sensordb's own schema was made or updated. */
  readonly madeState: boolean;
  readonly applied: readonly { readonly version: number; readonly name: string }[];
}

/** Shows what `migrate up` applied. */
export function renderUp(style: Style, { schema, stateOnly, madeState, applied }: UpView): string {
  if (!style.isTerminal) {
    return tabSeparated([
      ...(madeState ? [['state', 'updated']] : []),
      ...applied.map(({ version, name }) => ['applied', version, name]),
    ]);
  }
  const { chalk } = style;
  const lines = applied.map(
    ({ version, name }) => `${chalk.green('applied')}  ${padded(version)} ${printable(name)}\n`,
  );
  const state = madeState ? `${chalk.green('updated')}  schema sensordb, the tool's own tables\n` : '';
  if (stateOnly) return state || 'Schema sensordb is up to date.\n';
  return `${state}${lines.join('') || `Nothing to do: schema ${printable(schema)} is up to date.\n`}`;
}

/** What is shown by `migrate status`. */
export interface StatusView {
  readonly schema: string;
  readonly own: MigrationState;
  readonly application: MigrationState;
}

/** Shows which migrations are applied, which are pending, and what is wrong. */
export async function renderStatus(style: Style, view: StatusView): Promise<string> {
  const rows = [...lines('application', view.application), ...lines('state', view.own)];
  if (!style.isTerminal) return tabSeparated(rows);
  const { chalk } = style;
  const paint = { applied: chalk.green, pending: chalk.yellow, problem: chalk.red };
  const table = await drawTable(
    style,
    ['status', 'version', 'name', 'applied at', 'by'].map((title) => ({ title })),
    lines('application', view.application).map(([status, , version, name, at = '', by = '']) => [
      paint[status as keyof typeof paint](status),
      padded(Number(version)),
      printable(String(name)),
      printable(String(at)),
      printable(String(by)),
    ]),
  );
  const problems = [...view.own.problems, ...view.application.problems]
    .map(
      ({ message, hint }) =>
        `\n${chalk.red('problem:')} ${printable(message)}\n${chalk.cyan('hint:')} ${hint}\n`,
    )
    .join('');
  const own =
    view.own.pending.length === 0
      ? ''
      : "\nThe tool's own schema sensordb is not up to date: the first changing command, or migrate up, sees to it.\n";
  return `${chalk.bold(`Schema ${printable(view.schema)}`)}\n\n${table}${problems}${own}`;
}

type Line = readonly [status: string, scope: string, version: number, name: string, ...rest: string[]];

function lines(scope: string, { applied, pending, problems }: MigrationState): readonly Line[] {
  return [
    ...applied.map(
      ({ version, name, appliedAt, appliedBy }): Line => [
        'applied',
        scope,
        version,
        name,
        appliedAt,
        appliedBy,
      ],
    ),
    ...pending.map(({ version, name }): Line => ['pending', scope, version, name]),
    ...problems.map(({ version, name, message }): Line => ['problem', scope, version, name, message]),
  ];
}

function padded(version: number): string {
  return String(version).padStart(4, '0');
}
