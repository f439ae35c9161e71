import { quoteIdentifier } from '../db/quote.ts';
import type { Grant, LeafTemplate } from './leaf-template.ts';

/**
 * Makes the GRANT and REVOKE statements that turn a new table's privileges into its parent's.
 *
 * Default privileges (ALTER DEFAULT PRIVILEGES) may have given it more than the parent has.
 */
export function grantStatements(
  qualified: string,
  template: Pick<LeafTemplate, 'initialGrants' | 'desiredGrants'>,
): readonly string[] {
  const { initialGrants, desiredGrants } = template;
  const surplus = initialGrants.filter((grant) => !desiredGrants.some((other) => isSame(grant, other)));
  const missing = desiredGrants.filter((grant) => !initialGrants.some((other) => isSame(grant, other)));
  return [
    ...grouped(surplus).map(
      ([{ grantee }, privileges]) => `revoke ${privileges} on ${qualified} from ${role(grantee)}`,
    ),
    ...grouped(missing).map(
      ([{ grantee, grantable }, privileges]) =>
        `grant ${privileges} on ${qualified} to ${role(grantee)}${grantable ? ' with grant option' : ''}`,
    ),
  ];
}

function isSame(a: Grant, b: Grant): boolean {
  return (
    a.grantee === b.grantee &&
    a.privilege === b.privilege &&
    a.column === b.column &&
    a.grantable === b.grantable
  );
}

/** Gathers the privileges of each grantee, those with and without grant option apart. */
function grouped(grants: readonly Grant[]): readonly (readonly [Grant, string])[] {
  const groups = new Map<string, readonly [Grant, string[]]>();
  for (const grant of grants) {
    const key = `${grant.grantable} ${grant.grantee ?? ''}`;
    const group = groups.get(key) ?? [grant, []];
    group[1].push(
      grant.privilege.toLowerCase() + (grant.column === null ? '' : ` (${quoteIdentifier(grant.column)})`),
    );
    groups.set(key, group);
  }
  return [...groups.values()].map(([grant, privileges]) => [grant, privileges.join(', ')]);
}

function role(grantee: string | null): string {
  return grantee === null ? 'public' : quoteIdentifier(grantee);
}
