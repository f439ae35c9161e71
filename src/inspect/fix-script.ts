import { printable } from '../cli/table.ts';
import { quoteLiteral } from '../db/quote.ts';
import { formatInstant, fromDate } from '../time/instant.ts';
import type { Finding } from './check.ts';
import type { Fix } from './fix.ts';
import { fixesInOrder, needsMending, type OrderedFix, type Report } from './report.ts';

/** Prints the fixes of all findings as one psql script, in an order in which none stands in the way of another. */
export function renderFixScript(report: Report): string {
  const fixes = fixesInOrder(report.findings);
  const head = headOf(report, fixes);
  if (fixes.length === 0) return head;
  const has = (is: (fix: Fix) => boolean): boolean => fixes.some(({ fix }) => is(fix));
  const lines = [
    ...SETTINGS,
    ...guard(report.database),
    ...(has(isIrreversible) ? CONSENT : []),
    ...(has(({ kind }) => kind === 'command') ? ENVIRONMENT : []),
  ];
  let lockTimeout = '';
  for (const { fix, findings } of fixes) {
    lines.push('', ...findings.map(({ check, object }) => `-- ${check} on ${printable(object)}`));
    const wanted = isPatient(fix) ? '0' : "'2s'";
    if (fix.kind === 'sql' && wanted !== lockTimeout) {
      lockTimeout = wanted;
      lines.push(`set lock_timeout to ${wanted};`);
    }
    const doing = fix.kind === 'sql' ? [`${fix.text};`] : commandLines(fix.text);
    lines.push(...(isIrreversible(fix) ? forConsent(fix, doing) : doing));
  }
  return `${head}${lines.join('\n')}\n`;
}

function headOf({ database, now, findings }: Report, fixes: readonly OrderedFix[]): string {
  const inScript = new Set(fixes.map(({ fix }) => fix.text));
  const left = findings.filter(
    (finding) =>
      finding.fixes.length === 0 ||
      !needsMending(finding) ||
      finding.fixes.some(({ text }) => !inScript.has(text)),
  );
  const count = fixes.length === 1 ? '1 fix' : `${fixes.length} fixes`;
  const final = fixes.filter(({ fix }) => isIrreversible(fix)).length;
  const lines = [
    `sensordb inspect on ${printable(database)}, ${formatInstant(fromDate(now))}: ${fixes.length === 0 ? 'nothing to run' : count}.`,
    ...(fixes.length === 0
      ? []
      : ['Read it, then: psql -f FILE. It stops at the first error; what was done by then stands.']),
    ...(final === 0
      ? []
      : [`${final} of them cannot be undone. To run ${final === 1 ? 'that' : 'those'}, too: ${CONSENTING}`]),
    ...(left.length === 0
      ? []
      : ['Not mended by it, or not wholly; inspect again afterwards:', ...left.map(described)]),
  ];
  return lines.map((line) => `-- ${line}\n`).join('');
}

function described({ severity, check, object, message }: Finding): string {
  return `  ${severity}: ${check} on ${printable(object)}: ${printable(message)}`;
}

/** Each statement commits by itself: some refuse to run in a transaction. A startup file of psql may say otherwise. */
const SETTINGS = [
  '\\set ON_ERROR_STOP on',
  '\\set AUTOCOMMIT on',
  'set search_path to pg_catalog, pg_temp;',
] as const;

function guard(database: string): readonly string[] {
  const message = quoteLiteral(`This script is for the database ${database}.`);
  const body = `begin if current_database() <> ${quoteLiteral(database)} then raise exception using message = ${message}; end if; end`;
  return [`do ${quoteLiteral(body)};`];
}

const CONSENTING = 'psql -v irreversible=yes -f FILE';

/** Who only pipes the script into psql has agreed to nothing that cannot be undone. */
const CONSENT = ['\\if :{?irreversible}', '\\else', '\\set irreversible no', '\\endif'] as const;

function isIrreversible({ isIrreversible: is }: Fix): boolean {
  return is === true;
}

/** Has psql run what cannot be undone for who asks for it, and tell all others what it left. */
function forConsent({ text }: Fix, doing: readonly string[]): readonly string[] {
  const told = printable(`Left, to be run by ${CONSENTING}: ${text}`);
  // Within quotes psql fills in no variables and runs no backquotes, but reads backslashes.
  const quoted = `'${told.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
  return ['\\if :irreversible', ...doing, '\\else', `\\echo ${quoted}`, '\\endif'];
}

/**
 * Has commands of sensordb reach the database that psql is connected to, whatever the environment says besides. A service would
 * come before PGHOST and the others.
 */
const ENVIRONMENT = [
  '-- For the commands of sensordb; a password must stand in PGPASSWORD or .pgpass.',
  '\\setenv PGHOST :HOST',
  '\\setenv PGPORT :PORT',
  '\\setenv PGUSER :USER',
  '\\setenv PGDATABASE :DBNAME',
  '\\setenv PGSERVICE',
  '\\setenv SENSORDB_DATABASE_URL',
  '\\setenv DATABASE_URL',
] as const;

/**
 * psql goes on after a `\!` that failed, and only from 16 on can it be asked whether one did (SHELL_ERROR): a backquote gives
 * back what it came to in all versions.
 */
function commandLines(text: string): readonly string[] {
  // psql puts variables into commands, too: with a table called "a:USER" the command would change another one.
  if (/[`\n\r]|:[\p{L}_'"{]/u.test(text)) {
    return [
      '-- To be run by hand, since psql can hold no backquote, line end or colon before a word in a command:',
      `-- ${printable(text)}`,
    ];
  }
  return [
    `\\set sensordb_failed \`${text} </dev/null >&2 && echo 0 || echo 1\``,
    '\\if :sensordb_failed',
    `do 'begin raise exception ''The command failed: what follows it was not done.''; end';`,
    '\\endif',
  ];
}

/**
 * Nobody waits behind these while they wait, or they wait for transactions to end rather than for a lock: a timeout would leave an
 * invalid index, or a partition half detached. All others give up rather than hold up whoever writes.
 */
function isPatient({ phase, text }: Fix): boolean {
  return /\bconcurrently\b/i.test(text) || ['session', 'finalize', 'vacuum', 'analyze'].includes(phase);
}
