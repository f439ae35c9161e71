import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { styleOf } from '../../src/cli/style.ts';
import { drawCoverage } from '../../src/partitions/coverage-picture.ts';
import { grantStatements } from '../../src/partitions/grants.ts';
import { renameReferences } from '../../src/partitions/policy-text.ts';
import { describeRunway } from '../../src/partitions/runway.ts';
import { at } from '../support/leaves.ts';

describe('grantStatements', () => {
  const grant = (
    grantee: string | null,
    privilege: string,
    more: { grantable?: boolean; column?: string } = {},
  ) => ({
    grantee,
    privilege,
    grantable: more.grantable ?? false,
    column: more.column ?? null,
  });

  it('says nothing of what is the same', () => {
    const same = [grant('a', 'SELECT')];
    expect(grantStatements('s.t', { initialGrants: same, desiredGrants: same })).toEqual([]);
  });

  it('takes away first, then gives, each role’s in one statement', () => {
    expect(
      grantStatements('s.t', {
        initialGrants: [grant(null, 'SELECT'), grant('a', 'SELECT', { grantable: true })],
        desiredGrants: [
          grant('a', 'SELECT'),
          grant('a', 'INSERT'),
          grant('Odd "one"', 'UPDATE', { column: 'user', grantable: true }),
        ],
      }),
    ).toEqual([
      'revoke select on s.t from public',
      'revoke select on s.t from a',
      'grant select, insert on s.t to a',
      'grant update ("user") on s.t to "Odd ""one""" with grant option',
    ]);
  });
});

describe('renameReferences', () => {
  const table = { table: 'Odd', columns: ['id', 'Odd', 'a b'] };
  it.each([
    ['("Odd".id = 1)', '(leaf.id = 1)'],
    ['("Odd"."a b" = "Odd"."Odd")', '(leaf."a b" = leaf."Odd")'],
    [`(x.id = 'Odd.id') AND "Odd".id`, `(x.id = 'Odd.id') AND leaf.id`],
    ['FROM "Odd".id i', 'FROM "Odd".id i'],
    ['"Odd".allowed(id)', '"Odd".allowed(id)'],
    ['"Odd".id(1)', '"Odd".id(1)'],
    ['x::"Odd".id', 'x::"Odd".id'],
    ['other."Odd".id', 'other."Odd".id'],
    ['"Odd"', '"Odd"'],
    ['("Odd".* IS NOT NULL)', '(leaf.* IS NOT NULL)'],
  ])('%s becomes %s', (expression, renamed) => {
    expect(renameReferences(expression, table, 'leaf')).toBe(renamed);
  });
});

describe('describeRunway', () => {
  const now = at('2026-03-15');
  it.each([
    [{ state: 'unbounded' }, true, 'Runway: unbounded, the last partition reaches to MAXVALUE.'],
    [{ state: 'none' }, true, 'Runway: none. No partition covers the present: rows go to DEFAULT now.'],
    [{ state: 'none' }, false, 'Runway: none. No partition covers the present: inserts fail now.'],
    [
      { state: 'until', until: at('2026-03-16') },
      true,
      'Runway: rows go to DEFAULT on 2026-03-16, in 1 day.',
    ],
    [
      { state: 'until', until: at('2026-04-01') },
      false,
      'Runway: inserts start to fail on 2026-04-01, in 17 days.',
    ],
  ] as const)('%o, DEFAULT %s', (runway, hasDefault, text) => {
    expect(describeRunway(runway, now, hasDefault)).toBe(text);
  });
});

describe('drawCoverage', () => {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const style = (LANG: string) => styleOf(stream, { env: { LANG, NO_COLOR: '1' } } as never, true);
  const range = (lower: string, upper: string) => ({ lower: at(lower), upper: at(upper) });
  const covered = [range('2026-01-01', '2026-03-01'), range('2026-03-01 00:00:00.000001', '2026-06-01')];

  it('shows a gap of a microsecond', async () => {
    expect(drawCoverage(await style('C.UTF-8'), covered, [], at('2026-04-01'))).toMatchInlineSnapshot(`
      "2026-01-01 ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒·▒▒▒▒▒▒▒▒▒┃████████████████████ 2026-06-01  ▒ past  ┃ now  █ future  · gap
      "
    `);
  });

  it('shows a pending detach, and needs no Unicode', async () => {
    const pending = [range('2026-06-01', '2026-07-01')];
    expect(drawCoverage(await style('C'), covered, pending, at('2026-07-01'))).toMatchInlineSnapshot(`
      "2026-01-01 ----------------.------------------------!!!!!!!!X 2026-07-01  - past  X now, in a gap  . gap  ! detach pending
      "
    `);
  });

  it('reaches to now when that is before the first bound or after the last', async () => {
    expect(drawCoverage(await style('C'), covered, [], at('2027-01-01'))).toMatch(
      /^2026-01-01 .*X 2027-01-01/,
    );
    expect(drawCoverage(await style('C'), covered, [], at('2025-01-01'))).toMatch(/^2025-01-01 X\.+=/);
  });

  it('shows nothing when no partition has both bounds', async () => {
    expect(drawCoverage(await style('C'), [range('min', 'max')], [], at('2026-04-01'))).toBe('');
  });
});
