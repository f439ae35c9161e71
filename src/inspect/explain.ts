import { EXIT } from '../cli/exit-codes.ts';
import type { Outcome } from '../cli/output.ts';
import type { Check } from './check.ts';

/** Shows what a check means, its thresholds and where they come from; needs no database. */
export function explainOutcome(check: Check): Outcome {
  const { name, area, finds, explanation, thresholds } = check;
  const list = Object.entries(thresholds).map(([key, { value, unit, source }]) => ({
    name: `${name}.${key}`,
    value,
    unit,
    source,
  }));
  return {
    exitCode: EXIT.done,
    changed: false,
    data: { check: name, area, finds, explanation, thresholds: list },
    warnings: [],
    error: null,
    render: ({ chalk }) => {
      const numbers = list.map(
        (one) => `  ${one.name} = ${one.value} ${one.unit}\n    ${chalk.dim(one.source)}\n`,
      );
      const tail =
        numbers.length === 0 ? '' : `\nThresholds, which the config file can set:\n${numbers.join('')}`;
      return `${chalk.bold(name)}  (${area})\nFinds ${finds}.\n\n${explanation}\n${tail}`;
    },
  };
}
