import { expect, it } from 'vitest';
import { AREAS } from '../../src/inspect/check.ts';
import { CHECKS } from '../../src/inspect/checks.ts';

/** The checks as the documents list them. */
function listChecks(): string {
  const lines = AREAS.flatMap((area) => [
    `## ${area}`,
    '',
    '| check | finds | thresholds |',
    '|---|---|---|',
    ...CHECKS.filter((check) => check.area === area).map(({ name, finds, thresholds }) => {
      const numbers = Object.entries(thresholds).map(
        ([key, { value, unit }]) => `\`${key}\` ${value} ${unit}`,
      );
      return `| \`${name}\` | ${finds} | ${numbers.join('<br>')} |`;
    }),
    '',
  ]);
  const head = [
    '# The checks of `sensordb inspect`',
    '',
    'What each means, how it is told, and where its thresholds come from: `sensordb inspect --explain CHECK`.',
    '',
  ];
  return `${[...head, ...lines].join('\n')}`;
}

it('docs/inspect-checks.md lists every check', async () => {
  await expect(listChecks()).toMatchFileSnapshot('../../docs/inspect-checks.md');
});

it('every check says what it finds, what that means, and where its numbers come from', () => {
  for (const { name, finds, explanation, thresholds } of CHECKS) {
    expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(`It finds ${finds}.`).toMatch(/^It finds \w[^\n]*[^.]\.$/);
    expect(explanation.length).toBeGreaterThan(200);
    for (const { unit, source } of Object.values(thresholds)) expect([unit, source]).not.toContain('');
  }
  expect(new Set(CHECKS.map(({ name }) => name)).size).toBe(CHECKS.length);
});
