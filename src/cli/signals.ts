import { SensordbError } from './errors.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';

type StopSignal = 'SIGINT' | 'SIGTERM';

/** Makes the error that a run ends with when it is asked to stop: exit 130 or 143. */
export function interruption(signal: StopSignal): SensordbError {
  return new SensordbError({
    exitCode: signal === 'SIGINT' ? EXIT.sigint : EXIT.sigterm,
    code: signal === 'SIGINT' ? 'interrupted' : 'terminated',
    message: `Stopped by ${signal}: the running statement was cancelled and rolled back.`,
    hint: 'What was reported done stands; run it again to carry on.',
  });
}

/** Aborts the controller at the first SIGINT or SIGTERM; at the second it has the process end at once. */
export function abortOnSignals(controller: AbortController, exit: (code: ExitCode) => void): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      const reason = interruption(signal);
      if (controller.signal.aborted) exit(reason.exitCode);
      controller.abort(reason);
    });
  }
}
