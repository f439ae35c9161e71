import type { Ending, Phase } from './ways.ts';

/** What was measured while one way did one phase. */
export interface Measured {
  readonly way: string;
  readonly phase: Phase | 'nothing';
  readonly hasDefault?: boolean;
  readonly durationMs: number;
  readonly ending: Ending;
  readonly writeMs: readonly number[];
  readonly failures: readonly string[];
  readonly sentRows: number;
  /** Every row that was sent is there, once. */
  readonly isExact: boolean;
}

/** Prints what was measured: a table, or JSON. */
export function print(results: readonly Measured[], asJson: boolean): void {
  const lines = results.map(summary);
  if (asJson) process.stdout.write(`${JSON.stringify(lines, null, 2)}\n`);
  else for (const line of table(lines)) process.stdout.write(`${line}\n`);
}

type Summary = ReturnType<typeof summary>;

function summary({ writeMs, failures, ...measured }: Measured) {
  const sorted = writeMs.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return {
    ...measured,
    writes: writeMs.length,
    longestMs: at(1),
    p999Ms: at(0.999),
    failedWrites: failures.length,
    firstFailure: failures[0] ?? null,
  };
}

function table(lines: readonly Summary[]): readonly string[] {
  const head =
    '| DEFAULT | phase | way | longest stall | p99.9 | writes | failed | sent = stored | took | ended |';
  const rows = lines.map((line) => {
    const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
    const cells = [
      line.hasDefault ? 'yes' : 'no',
      line.phase,
      line.way,
      ms(line.longestMs),
      ms(line.p999Ms),
      line.writes,
      line.failedWrites,
      line.isExact ? 'yes' : 'NO',
      `${(line.durationMs / 1000).toFixed(1)} s`,
      line.ending.slice(0, 80),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const failures = lines.flatMap(({ way, phase, firstFailure }) =>
    firstFailure === null ? [] : [`${way}, ${phase}: ${firstFailure}`],
  );
  return [head, head.replaceAll(/[^|]+/g, '---'), ...rows, ...failures];
}
