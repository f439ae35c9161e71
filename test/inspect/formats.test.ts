import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Style } from '../../src/cli/style.ts';
import type { Finding } from '../../src/inspect/check.ts';
import { sqlFix } from '../../src/inspect/fix.ts';
import { chooseFormat } from '../../src/inspect/formats.ts';
import type { Report } from '../../src/inspect/report.ts';
import { runCli } from '../support/cli.ts';
import { halfDetach } from '../support/inspect.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const NOW = '2026-03-10T12:00:00Z';
const ODD = 'public."a|b `c` 50%,\n::error::\\""';

const finding = (severity: Finding['severity'], object: string, more: Partial<Finding> = {}): Finding => ({
  check: 'index_unused',
  area: 'indexes',
  severity,
  object,
  message: `${object} is never used.`,
  evidence: {},
  fixes: [sqlFix('drop_index', `drop index ${object}`)],
  ...more,
});

const report = (findings: readonly Finding[], failOn: Report['failOn'] = 'warning'): Report => ({
  database: 'metrics',
  versionNum: 180_004,
  table: null,
  now: new Date(NOW),
  findings,
  passed: ['runway'],
  notYet: [],
  suppressed: [],
  baseline: null,
  failOn,
});

const asIs = (text: string) => text;
const STYLE: Style = {
  chalk: { bold: asIs, dim: asIs, red: asIs, green: asIs, yellow: asIs, cyan: asIs },
  isTerminal: false,
  columns: 100,
  unicode: true,
};

const shown = async (format: string, shownReport: Report) =>
  await chooseFormat({ format }).render(STYLE, shownReport, []);

describe('nagios', () => {
  const exitCode = (severities: readonly Finding['severity'][], failOn?: Report['failOn']) =>
    chooseFormat({ format: 'nagios' }).exitCode?.(
      report(
        severities.map((severity) => finding(severity, 'public.i')),
        failOn,
      ),
    );

  it.each([
    [[], 'warning', 0],
    [['info'], 'warning', 0],
    [['unknown', 'info'], 'warning', 3],
    [['warning', 'unknown'], 'warning', 1],
    [['critical', 'warning', 'unknown'], 'warning', 2],
    [['warning', 'unknown'], 'critical', 0],
    [['critical'], 'critical', 2],
  ] as const)('makes of %s with --fail-on %s exit %i', (severities, failOn, code) => {
    expect(exitCode(severities, failOn)).toBe(code);
  });

  it('is one line whose performance data no name can begin', async () => {
    const many = Array.from({ length: 5 }, (_, at) => finding('warning', `public.i${at}`));
    expect(await shown('nagios', report([finding('critical', ODD), ...many]))).toBe(
      String.raw`SENSORDB CRITICAL - metrics: 1 critical, 5 warnings, 1 check passed; index_unused public."a/b ${'`c`'} 50%, ::error::\""; index_unused public.i0; index_unused public.i1; 3 more | critical=1;;0;0 warning=5;0;;0 unknown=0;0;;0 info=0;;;0 passed=1;;;0 not_yet=0;;;0 suppressed=0;;;0
`,
    );
  });
});

describe('prometheus', () => {
  it('escapes labels, and counts what has the same ones', async () => {
    const text = await shown(
      'prometheus',
      report([finding('warning', ODD), finding('warning', 'public.i'), finding('warning', 'public.i')]),
    );
    expect(text).toMatchInlineSnapshot(`
      "# HELP sensordb_inspect_up Whether the last run of sensordb inspect came to an answer.
      # TYPE sensordb_inspect_up gauge
      sensordb_inspect_up{database="metrics"} 1
      # HELP sensordb_inspect_last_run_timestamp_seconds When the last run of sensordb inspect began.
      # TYPE sensordb_inspect_last_run_timestamp_seconds gauge
      sensordb_inspect_last_run_timestamp_seconds{database="metrics"} 1773144000
      # HELP sensordb_inspect_findings Findings of the last run, by severity.
      # TYPE sensordb_inspect_findings gauge
      sensordb_inspect_findings{database="metrics",severity="critical"} 0
      sensordb_inspect_findings{database="metrics",severity="warning"} 3
      sensordb_inspect_findings{database="metrics",severity="unknown"} 0
      sensordb_inspect_findings{database="metrics",severity="info"} 0
      # HELP sensordb_inspect_finding Findings of the last run one by one, by what they were found on.
      # TYPE sensordb_inspect_finding gauge
      sensordb_inspect_finding{database="metrics",check="index_unused",area="indexes",severity="warning",object="public.\\"a|b \`c\` 50%,\\n::error::\\\\\\"\\""} 1
      sensordb_inspect_finding{database="metrics",check="index_unused",area="indexes",severity="warning",object="public.i"} 2
      # HELP sensordb_inspect_suppressed Findings of the last run that the suppression file leaves out.
      # TYPE sensordb_inspect_suppressed gauge
      sensordb_inspect_suppressed{database="metrics"} 0
      # HELP sensordb_inspect_checks_passed Checks of the last run that saw all there is and found nothing.
      # TYPE sensordb_inspect_checks_passed gauge
      sensordb_inspect_checks_passed{database="metrics"} 1
      # HELP sensordb_inspect_checks_not_yet Checks of the last run whose statistics were too young to judge by.
      # TYPE sensordb_inspect_checks_not_yet gauge
      sensordb_inspect_checks_not_yet{database="metrics"} 0
      "
    `);
  });
});

describe('github', () => {
  it('escapes what would end the command or its title', async () => {
    expect(
      await shown('github', report([finding('critical', ODD), finding('info', 'public.i')])),
    ).toMatchInlineSnapshot(`
      "::error title=index_unused public."a|b \`c\` 50%25%2C%0A%3A%3Aerror%3A%3A\\""::public."a|b \`c\` 50%25,%0A::error::\\"" is never used.%0A%0AFix:%0Adrop index public."a|b \`c\` 50%25,%0A::error::\\""
      ::notice title=index_unused public.i::public.i is never used.%0A%0AFix:%0Adrop index public.i
      sensordb inspect of metrics: 1 critical, 1 note, 1 check passed.
      "
    `);
  });
});

describe('markdown', () => {
  it('is a table whose cells hold any name, and fixes to copy', async () => {
    expect(
      await shown(
        'markdown',
        report([finding('critical', ODD), finding('unknown', 'public.i_2', { fixes: [] })]),
      ),
    ).toMatchInlineSnapshot(`
      "### sensordb inspect \`metrics\`

      1 critical, 1 unknown, 1 check passed. PostgreSQL 18, 2026-03-10T12:00:00Z.

      | | Object | Check | What |
      |---|---|---|---|
      | 🔴 critical | \`\`public."a\\|b \`c\` 50%,\\u000a::error::\\""\`\` | index_unused | public."a\\|b \\\`c\\\` 50%, ::error::\\\\"" is never used. |
      | ⚪ unknown | \`public.i_2\` | index_unused | public.i_2 is never used. |

      <details><summary>Fixes</summary>

      **index_unused** \`\`public."a|b \`c\` 50%,\\u000a::error::\\""\`\`

      \`\`\`sql
      drop index public."a|b \`c\` 50%,
      ::error::\\"";
      \`\`\`

      </details>
      "
    `);
  });
});

describe('html', () => {
  it('lists apart what is suppressed, known and resolved', async () => {
    const by = {
      check: 'index_unused',
      object: '*',
      reason: 'a < b',
      until: '2026-12-31',
      place: 'known.yaml:1',
    };
    const page = await chooseFormat({ format: 'html' }).render(
      STYLE,
      {
        ...report([]),
        suppressed: [{ finding: finding('warning', 'public.s'), by }],
        baseline: { known: [finding('warning', 'public.k')], resolved: [finding('warning', 'public.r')] },
      },
      [],
    );
    expect(page).toContain('<li>index_unused public.s, until 2026-12-31: a &lt; b</li>');
    expect(page).toMatch(/Known before.*index_unused public\.k.*Resolved since.*index_unused public\.r/s);
  });
});

describe('inspect --format', () => {
  let healthy: TestDatabase;
  let faulty: TestDatabase;

  beforeAll(async () => {
    [healthy, faulty] = await Promise.all([createDatabase(), createDatabase()]);
    await faulty.sql.unsafe(`create table r (at timestamptz not null) partition by range (at);
      create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01')`);
    await halfDetach(faulty, 'r', 'r_1');
  });
  afterAll(() => Promise.all([healthy.drop(), faulty.drop()]));

  const run = (words: readonly string[], url: string) =>
    runCli(['inspect', '--only', 'detach_pending', ...words], { url });
  const NOWHERE = 'postgresql://127.0.0.1:1/nowhere?connect_timeout=2';

  it('json is --json', async () => {
    const results = [await run(['--format', 'json'], faulty.url), await run(['--json'], faulty.url)];
    const [format, option] = results.map(({ exitCode, json, stderr }) => {
      const { data, ...envelope } = json();
      return { exitCode, stderr, ...envelope, data: { ...data, at: '' } };
    });
    expect(format).toEqual(option);
    expect(format).toMatchObject({ exitCode: 3, stderr: '', command: 'inspect' });
    const failed = await run(['--format', 'json'], NOWHERE);
    expect(failed.json().error).toMatchObject({ code: 'server_unreachable' });
  });

  it.each([
    ['nagios', 0, 2],
    ['prometheus', 0, 3],
    ['github', 0, 3],
    ['markdown', 0, 3],
    ['html', 0, 3],
    ['table', 0, 3],
  ])('%s exits %i and %i', async (format, good, bad) => {
    for (const [{ url }, code] of [
      [healthy, good],
      [faulty, bad],
    ] as const) {
      const { exitCode, stdout, stderr } = await run(['--format', format], url);
      expect({ format, exitCode, stderr }).toEqual({ format, exitCode: code, stderr: '' });
      expect(stdout).not.toBe('');
    }
  });

  it.each([
    ['nagios', 3, /^SENSORDB UNKNOWN - .*127\.0\.0\.1.*\n$/],
    ['prometheus', 4, /^sensordb_inspect_up 0$/m],
    ['github', 4, /^::error title=sensordb inspect failed::/],
    ['markdown', 4, /^### sensordb inspect failed\n/],
    ['html', 4, /^<!doctype html>.*<h1>sensordb inspect failed<\/h1>/s],
  ])('%s says on stdout that there is no connection, and exits %i', async (format, code, text) => {
    for (const words of [
      ['--format', format],
      [`--format=${format}`, '--quiet'],
    ]) {
      const { exitCode, stdout, stderr } = await run(words, NOWHERE);
      expect([exitCode, stdout]).toEqual([code, expect.stringMatching(text)]);
      expect(stderr).toMatch(/^error: /);
    }
  });

  it('nagios exits 3 whatever ends the run', async () => {
    for (const words of [['--only', 'nonsense'], ['--nonsense'], ['--table', 'nowhere'], ['tables', 'x']]) {
      const { exitCode, stdout } = await run(['--format', 'nagios', ...words], healthy.url);
      expect([words, exitCode]).toEqual([words, 3]);
      expect(stdout).toMatch(/^SENSORDB UNKNOWN - [^\n]+\n$/);
    }
  });

  it.each(['nagios', 'prometheus', 'github', 'markdown', 'html'])(
    '%s is printed with --quiet, too',
    async (format) => {
      const { exitCode, stdout } = await run(['--format', format, '--quiet'], healthy.url);
      expect([exitCode, stdout === '']).toEqual([0, false]);
    },
  );

  it('contradicting --json is a usage error', async () => {
    const { exitCode, json } = await run(['--format', 'nagios', '--json'], healthy.url);
    expect([exitCode, json().error?.code]).toEqual([2, 'contradictory_formats']);
  });

  it('that is not there is a usage error that lists those that are', async () => {
    const { exitCode, stderr } = await run(['--format', 'xml'], healthy.url);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('table, json, nagios, prometheus, github, markdown, html');
  });
});
