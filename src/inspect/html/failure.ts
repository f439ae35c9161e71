import { html } from './markup.ts';
import { STYLE } from './style.ts';

/** Makes the page of a run that came to no report: an empty one would look like nothing to report. */
export function renderFailurePage(message: string): string {
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>sensordb inspect failed</title><style>${{ markup: STYLE }}</style></head>
<body><header><h1>sensordb inspect failed</h1></header><main><p>${message}</p></main></body></html>
`;
  return page.markup;
}
