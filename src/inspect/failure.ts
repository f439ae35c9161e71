import { optionValue } from '../cli/argv.ts';
import type { FailureForm } from '../cli/invoke.ts';
import { githubFailure } from './formats/github.ts';
import { markdownFailure } from './formats/markdown.ts';
import { nagiosFailure } from './formats/nagios.ts';
import { prometheusFailure } from './formats/prometheus.ts';
import { renderFailurePage } from './html/failure.ts';

/** Says in the format that was asked for that there is no report: an empty status line or file would look like a healthy database. */
export const failureForm: FailureForm = async ({ facts, exitCode }, argv, context) => {
  switch (optionValue(argv, '--format')) {
    case 'nagios':
      return nagiosFailure(facts.message);
    case 'prometheus':
      return { text: prometheusFailure(context.now()), exitCode };
    case 'github':
      return { text: githubFailure(facts.message), exitCode };
    case 'markdown':
      return { text: markdownFailure(facts.message), exitCode };
    case 'html':
      return { text: renderFailurePage(facts.message), exitCode };
    default:
      return null;
  }
};
