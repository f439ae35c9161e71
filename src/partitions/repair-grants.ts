import { altered, type Finding, type Member, refusing } from './drift.ts';
import { grantStatements } from './grants.ts';
import type { Grant, LeafTemplate } from './leaf-template.ts';
import type { FoundGrant } from './repair-read.ts';

// From this version on GRANT and REVOKE lock the table (measured on 14 to 18).
const GRANT_LOCKS = 180_000;

interface GrantScene {
  readonly template: LeafTemplate;
  readonly versionNum: number;
  /** The leaf gets its parent's owner in the same transaction, before its privileges are mended. */
  readonly ownerIsMended: boolean;
}

/**
 * Finds the privileges that a leaf lacks, or has and its parent does not; one finding for each grantee.
 *
 * ALTER TABLE … OWNER TO turns the old owner's privileges into the new one's: what the owner has is compared with what the
 * parent's owner has, whoever they are.
 */
export function compareGrants(
  member: Member,
  scene: GrantScene,
  found: readonly FoundGrant[],
): readonly Finding[] {
  if (found.length === 0) return [];
  const { template } = scene;
  const owner = scene.ownerIsMended ? template.owner : member.owner;
  const desired = unique(template.desiredGrants.map((grant) => renamed(grant, template.owner, owner)));
  const isParentsOwner = ({ grantee, toOwner }: FoundGrant): boolean =>
    !toOwner && grantee === template.owner && !scene.ownerIsMended;
  const kept = found.filter((grant) => member.owner === template.owner || !isParentsOwner(grant));
  const present = unique(kept.map((grant) => (grant.toOwner ? { ...grant, grantee: owner } : grant)));
  const keys = { present: new Set(present.map(keyOf)), desired: new Set(desired.map(keyOf)) };
  const surplus = present.filter((grant) => !keys.desired.has(keyOf(grant)));
  const missing = desired.filter((grant) => !keys.present.has(keyOf(grant)));
  const grantees = [...new Set([...missing, ...surplus].map(({ grantee }) => grantee))];
  return grantees.map((grantee) => {
    const isTheirs = (grant: Grant): boolean => grant.grantee === grantee;
    return oneGrantee(member, scene, grantee, {
      surplus: surplus.filter(isTheirs),
      present: present.filter(isTheirs),
      desired: desired.filter(isTheirs),
      all: found,
    });
  });
}

interface GranteeGrants {
  readonly surplus: readonly Grant[];
  readonly present: readonly Grant[];
  readonly desired: readonly Grant[];
  readonly all: readonly FoundGrant[];
}

function oneGrantee(
  member: Member,
  { versionNum }: GrantScene,
  grantee: string | null,
  { surplus, present, desired, all }: GranteeGrants,
): Finding {
  const drift = {
    kind: 'grants',
    what: `privileges of ${grantee ?? 'PUBLIC'}`,
    expected: spell(desired),
    found: spell(present),
  } as const;
  const stuck = surplus.length === 0 ? undefined : all.find((grant) => isInTheWay(grant, grantee, surplus));
  if (stuck !== undefined) {
    return refusing(member, drift, {
      reason: 'granted_by_another',
      message: `${stuck.privilege} on ${member.qualified} was granted to ${stuck.grantee ?? 'PUBLIC'} by ${stuck.grantor}, who does not own it: the owner cannot revoke it without CASCADE.`,
      hint: `Let ${stuck.grantor} revoke it (REVOKE ${stuck.privilege} ON ${member.qualified} FROM …), or revoke it from ${stuck.grantor} with CASCADE yourself.`,
    });
  }
  const tables = new Set(surplus.filter(({ column }) => column === null).map(({ privilege }) => privilege));
  // To revoke a privilege on a table takes it from its columns, too (documentation of REVOKE): they are granted again.
  const initialGrants = present.filter(({ column, privilege }) => column === null || !tables.has(privilege));
  const statements = grantStatements(member.qualified, { initialGrants, desiredGrants: desired });
  const locks =
    versionNum >= GRANT_LOCKS ? [{ relation: member.qualified, mode: 'ACCESS SHARE' as const }] : [];
  return altered(member, drift, ...statements.map((sql) => ({ sql, locks })));
}

/** What the owner cannot revoke: what another granted, be it the very privilege or one that hangs on it. */
function isInTheWay(grant: FoundGrant, grantee: string | null, surplus: readonly Grant[]): boolean {
  if (grant.byOwner || grant.toOwner) return false;
  return surplus.some(
    ({ privilege, column }) =>
      privilege === grant.privilege &&
      column === grant.column &&
      (grant.grantee === grantee || grant.grantor === grantee),
  );
}

function renamed(grant: Grant, from: string, to: string): Grant {
  return grant.grantee === from ? { ...grant, grantee: to } : grant;
}

function keyOf({ grantee, privilege, grantable, column }: Grant): string {
  return JSON.stringify([grantee, privilege, grantable, column]);
}

/** Leaves one of each; a privilege with grant option, granted by one, covers the same without it by another. */
function unique(grants: readonly Grant[]): readonly Grant[] {
  const withOption = new Set(grants.filter(({ grantable }) => grantable).map(keyOf));
  const kept = grants.filter(
    (grant) => grant.grantable || !withOption.has(keyOf({ ...grant, grantable: true })),
  );
  return [...new Map(kept.map((grant) => [keyOf(grant), grant])).values()];
}

function spell(grants: readonly Grant[]): string {
  const words = grants.map(
    ({ privilege, column, grantable }) =>
      `${privilege}${column === null ? '' : ` (${column})`}${grantable ? ' WITH GRANT OPTION' : ''}`,
  );
  return words.length === 0 ? 'none' : words.toSorted().join(', ');
}
