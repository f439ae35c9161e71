import { usageError } from '../cli/errors.ts';
import type { ExitCode } from '../cli/exit-codes.ts';
import type { OutputOptions } from '../cli/output.ts';
import type { Style } from '../cli/style.ts';
import { CHECKS } from './checks.ts';
import { renderFixScript } from './fix-script.ts';
import { renderGithub } from './formats/github.ts';
import { renderMarkdown } from './formats/markdown.ts';
import { nagiosExitCode, renderNagios } from './formats/nagios.ts';
import { renderPrometheus } from './formats/prometheus.ts';
import type { Pictured } from './html/pictured.ts';
import { renderReport, renderTable } from './render.ts';
import type { Report } from './report.ts';

/** A form in which a report is shown. */
interface Format {
  readonly render: (style: Style, report: Report, pictured: readonly Pictured[]) => string | Promise<string>;
  /** Where it has exit codes of its own. */
  readonly exitCode?: (report: Report) => ExitCode;
  /** It is for a program or a file: printed with `--quiet`, too. */
  readonly isDocument: boolean;
  /** It shows pictures, whose figures are to be read first. */
  readonly isPictured?: boolean;
}

/** What is shown where no format was asked for; JSON is made of the outcome's data, whatever it says here. */
const BY_STREAM: Format = { render: renderReport, isDocument: false };

const FORMATS: Readonly<Record<string, Format>> = {
  table: { render: renderTable, isDocument: false },
  json: BY_STREAM,
  nagios: { render: (_style, report) => renderNagios(report), exitCode: nagiosExitCode, isDocument: true },
  prometheus: { render: (_style, report) => renderPrometheus(report), isDocument: true },
  github: { render: (_style, report) => renderGithub(report), isDocument: true },
  markdown: { render: (_style, report) => renderMarkdown(report), isDocument: true },
  html: {
    render: async (_style, report, pictured) => {
      const { renderPage } = await import('./html/page.ts');
      return renderPage(report, pictured, CHECKS);
    },
    isDocument: true,
    isPictured: true,
  },
};

const FIX_SCRIPT: Format = { render: (_style, report) => renderFixScript(report), isDocument: true };

/** Finds the format that `--format`, `--json` and `--fix-script` ask for; throws a usage error where they contradict each other. */
export function chooseFormat({
  format,
  json,
  fixScript,
}: OutputOptions & { readonly fixScript?: boolean }): Format {
  if (fixScript === true) {
    if (format === undefined && json !== true) return FIX_SCRIPT;
    throw contradictory(format === undefined ? '--json' : `--format ${format}`, '--fix-script');
  }
  if (format === undefined) return BY_STREAM;
  const chosen = FORMATS[format];
  if (chosen === undefined) {
    throw usageError('unknown_format', `There is no format ${JSON.stringify(format)}.`, {
      object: '--format',
      hint: `Formats: ${Object.keys(FORMATS).join(', ')}.`,
    });
  }
  if (json === true && format !== 'json') {
    throw contradictory('--json', `--format ${format}`);
  }
  return chosen;
}

function contradictory(one: string, other: string): Error {
  return usageError('contradictory_formats', `${one} and ${other} contradict each other.`, {
    object: other,
    hint: 'Leave one of them out; --json is --format json.',
  });
}
