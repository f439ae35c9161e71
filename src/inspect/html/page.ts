import { formatInstant, fromDate } from '../../time/instant.ts';
import type { KnownFinding } from '../baseline.ts';
import { type Check, type Finding, SEVERITIES, type Severity } from '../check.ts';
import type { Report } from '../report.ts';
import { drawBrinFit } from './brin-fit.ts';
import { drawFigure } from './figure.ts';
import { drawIndexUse } from './index-use.ts';
import { drawLag } from './lag.ts';
import { html, type Markup } from './markup.ts';
import type { Pictured } from './pictured.ts';
import { drawSizes } from './sizes.ts';
import { SCRIPT, STYLE } from './style.ts';
import { drawTimeline } from './timeline.ts';

const NAMES: Readonly<Record<Severity, string>> = {
  critical: 'critical',
  warning: 'warnings',
  unknown: 'unknown',
  info: 'notes',
};

/** Makes the page of a report: one file, which asks for nothing from elsewhere. */
export function renderPage(report: Report, pictured: readonly Pictured[], checks: readonly Check[]): string {
  const { database, table, versionNum, now, findings, suppressed, baseline, passed, notYet } = report;
  const title = table === null ? database : table.qualified;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>${`sensordb inspect: ${title}`}</title><style>${{ markup: STYLE }}</style></head>
<body><header><h1>${title}</h1>
<p class="meta">PostgreSQL ${Math.floor(versionNum / 10_000)}, looked at ${formatInstant(fromDate(now))} by sensordb inspect</p>
<ul class="tiles">${SEVERITIES.map((severity) => tile(severity, findings))}<li><b>${passed.length}</b>passed</li><li><b>${notYet.length}</b>not yet</li></ul></header>
<main><section><h2>Findings</h2>${findings.length === 0 ? html`<p>None.</p>` : findings.map((finding) => card(finding, checks))}</section>
${suppressed.length === 0 ? null : html`<section><h2>Suppressed</h2>${list(suppressed.map(({ finding, by }) => html`<li>${finding.check} ${finding.object}${by.until === null ? '' : `, until ${by.until}`}: ${by.reason}</li>`))}</section>`}
${keys('Known before', baseline?.known ?? [])}${keys('Resolved since', baseline?.resolved ?? [])}
${pictured.map((one) => pictures(one, report))}
<section><h2>Checks that passed</h2>${list(passed.map((name) => html`<li>${name}</li>`))}</section>
${notYet.length === 0 ? null : html`<section><h2>Not yet</h2><p>They cannot judge yet: their statistics are too young, or they need what is named.</p>${list(notYet.map(({ check, ripeAt, needs }) => html`<li>${check}${needs !== undefined ? `, it needs ${needs}` : ripeAt === null ? '' : `, from ${ripeAt.toISOString().slice(0, 10)} on`}</li>`))}</section>`}
</main><script>${{ markup: SCRIPT }}</script></body></html>
`;
  return page.markup;
}

const list = (items: readonly Markup[]): Markup => html`<ul class="checks">${items}</ul>`;

function keys(title: string, findings: readonly KnownFinding[]): Markup | null {
  if (findings.length === 0) return null;
  return html`<section><h2>${title}</h2>${list(findings.map(({ check, object }) => html`<li>${check} ${object}</li>`))}</section>`;
}

function tile(severity: Severity, findings: readonly Finding[]): Markup {
  const count = findings.filter((finding) => finding.severity === severity).length;
  return html`<li><b${count === 0 ? null : html` class="${severity}"`}>${count}</b>${NAMES[severity]}</li>`;
}

function card(
  { severity, check, object, message, evidence, fixes }: Finding,
  checks: readonly Check[],
): Markup {
  const facts = Object.entries(evidence);
  const explanation = checks.find(({ name }) => name === check)?.explanation;
  return html`<article class="${severity}"><h3><span class="tag">${severity}</span>${object} <span class="check">${check}</span></h3>
<p>${message}</p>${fixes.map(({ text }) => html`<div class="fix"><pre>${text}</pre><button type="button" hidden>Copy</button></div>`)}
${facts.length === 0 ? null : html`<details><summary>Evidence</summary><table>${facts.map(([key, value]) => html`<tr><th scope="row">${key}</th><td>${Array.isArray(value) ? value.join(', ') : String(value)}</td></tr>`)}</table></details>`}
${explanation === undefined ? null : html`<details><summary>What it means</summary><p>${explanation}</p></details>`}</article>
`;
}

function pictures({ table, lag, missing }: Pictured, { now }: Report): Markup {
  const instant = fromDate(now);
  const figures =
    table === null
      ? []
      : [
          drawTimeline(table, instant),
          drawSizes(table),
          ...(table.indexes.length === 0 ? [] : [drawIndexUse(table)]),
          ...(table.hasBrin ? [drawBrinFit(table)] : []),
          ...(lag === null ? [] : [drawLag(lag, table, instant)]),
        ];
  return html`<section><h2>${table?.qualified ?? 'Pictures'}</h2>${figures.map(drawFigure)}${missing.map((line) => html`<p>${line}</p>`)}</section>`;
}
