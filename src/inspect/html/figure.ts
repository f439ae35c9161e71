import { html, type Markup } from './markup.ts';

/** The width of every picture in its own units; it is scaled to that of the page. */
export const WIDTH = 960;

/** A picture, what it shows in words, and its figures as a table for those who cannot see it, or want to copy them. */
export interface Figure {
  readonly title: string;
  /** What is to be seen, in a sentence. */
  readonly summary: string;
  readonly height: number;
  readonly shapes: readonly Markup[];
  readonly legend: readonly { readonly className: string; readonly text: string }[];
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** Draws a figure with its caption, its legend, and its figures folded away. */
export function drawFigure({ title, summary, height, shapes, legend, columns, rows }: Figure): Markup {
  return html`<figure>
<figcaption><b>${title}</b> ${summary}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${`${title}: ${summary}`}">${shapes}</svg>
${legend.length === 0 ? null : html`<p class="legend">${legend.map(({ className, text }) => html`<span><i class="${className}"></i>${text}</span> `)}</p>`}
<details><summary>Figures</summary><div class="scroll"><table><thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div></details>
</figure>
`;
}

/** Draws a rectangle with a text that shows when it is pointed at. */
export function bar(
  className: string,
  { x, y, width, height }: Readonly<Record<'x' | 'y' | 'width' | 'height', number>>,
  text: string,
): Markup {
  return html`<rect class="${className}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"><title>${text}</title></rect>`;
}

/** Draws a line of text; `anchor` is its start, middle or end. */
export function label(
  text: string,
  { x, y }: { readonly x: number; readonly y: number },
  anchor: 'start' | 'middle' | 'end' = 'start',
): Markup {
  return html`<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${text}</text>`;
}

/** Draws a line from top to bottom. */
export function upright(className: string, x: number, from: number, to: number): Markup {
  return html`<line class="${className}" x1="${round(x)}" x2="${round(x)}" y1="${round(from)}" y2="${round(to)}"/>`;
}

const round = (value: number): string => String(Math.round(value * 10) / 10);
