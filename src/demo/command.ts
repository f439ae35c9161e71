import type { Command } from 'commander';
import type { Invoke } from '../cli/invoke.ts';
import type { DemoOptions } from './demo.ts';
import type { RunCommand } from './walk.ts';

/** Declares `demo`; `runCommand` runs another command of sensordb in a world of its own. */
export function declareDemo(program: Command, invoke: Invoke, runCommand: RunCommand): void {
  const demo = program
    .command('demo')
    .description('a PostgreSQL of its own with a year of readings, walked through every command')
    .addHelpText('before', 'Examples:\n  sensordb demo\n  sensordb demo --embedded ./demo --stay\n')
    .option('--stay', 'keep the server running until Ctrl-C (default on a terminal)')
    .option('--no-stay', 'stop the server at the end');
  invoke<DemoOptions>(demo, async (context, options) => {
    const { demoCommand } = await import('./demo.ts');
    return await demoCommand(context, options, runCommand);
  });
}
