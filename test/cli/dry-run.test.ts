import { expect, it } from 'vitest';
import { stepsAsScript } from '../../src/cli/dry-run.ts';
import type { Step } from '../../src/db/step.ts';

const NOTES = '-- conflict: taken\n';
const STEP: Step = { title: 'Vacuum', sql: 'vacuum t', transaction: null, locks: [] };

it('says that there is nothing to do only when there is nothing to tell either', () => {
  expect(stepsAsScript([], 1000)).toBe('-- Nothing to do.\n');
  expect(stepsAsScript([], 1000, NOTES)).toBe(NOTES);
});

it('puts notes at the head of the script', () => {
  expect(stepsAsScript([STEP], 1000, NOTES)).toBe(NOTES + stepsAsScript([STEP], 1000));
  expect(stepsAsScript([STEP], 1000)).toBe('\\set ON_ERROR_STOP on\n\n-- Vacuum\nvacuum t;\n');
});
