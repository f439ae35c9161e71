import type { Warning } from '../cli/output.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { LeafTask } from './leaf-tasks.ts';
import type { WidePublication } from './publications.ts';

/** Warns of publications that go on publishing what is detached; pure. */
export function describePublications(
  tasks: readonly LeafTask[],
  wide: readonly WidePublication[],
): readonly Warning[] {
  return [...tasks.flatMap(notOurs), ...wide.flatMap((publication) => goesOn(publication, tasks))];
}

function notOurs({ leaf }: LeafTask): readonly Warning[] {
  return leaf.publications
    .filter(({ isOurs }) => !isOurs)
    .map(({ name, owner }) => ({
      code: 'publication_not_left',
      message: `${leaf.relation} stays a member of publication ${name}, which ${owner} owns; have them run: ALTER PUBLICATION ${quoteIdentifier(name)} DROP TABLE ${leaf.relation}.`,
    }));
}

function goesOn(publication: WidePublication, tasks: readonly LeafTask[]): readonly Warning[] {
  const { name, schema } = publication;
  const published = tasks.filter(
    ({ leaf, targetSchema }) =>
      !leaf.isForeign && (schema === null || (targetSchema ?? leaf.schema) === schema),
  );
  const [first, ...others] = published;
  if (first === undefined) return [];
  const which = others.length === 0 ? first.leaf.name : `${first.leaf.name} and ${others.length} more`;
  const what = schema === null ? 'all tables' : `all tables of schema ${schema}`;
  const remedy =
    schema === null
      ? 'A subscriber must have a table of that name, or no row of it may change.'
      : 'To end that: --into-schema with one that is not published.';
  return [
    {
      code: 'publication_goes_on',
      message: `Publication ${name} publishes ${what}: ${which} stays published, as a table of its own. ${remedy}`,
    },
  ];
}
