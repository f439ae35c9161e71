/** The look of the page: light and dark by the reader's own setting, and fit for paper. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --dim: #60646c; --paper: #fcfcfd; --card: #fff; --line: #d9dce1; --code: #f3f4f6;
  --critical: #c62a2f; --warning: #ad5700; --unknown: #7c5cc4; --info: #0b68cb;
  --past: #a7b0bd; --future: #2f7dd1; --gap: #d5433f; --rows: #2f7dd1; --indexes: #e0a33e; --track: #e7e9ed;
  --good: #3a9a5b; --fair: #e0a33e; --poor: #d5433f; --none: #c3c8d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --dim: #a5abb5; --paper: #15171a; --card: #1d2024; --line: #363a41; --code: #26292f;
  --critical: #ff8b87; --warning: #f5b25c; --unknown: #b9a4f5; --info: #77b7ff;
  --past: #5b6472; --future: #5aa2ee; --gap: #ee6a66; --rows: #5aa2ee; --indexes: #d99b3b; --track: #2c3037;
  --good: #4cb672; --fair: #d99b3b; --poor: #ee6a66; --none: #4a505a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 60px; max-width: 1040px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 24px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 12px; overflow-wrap: anywhere; }
.meta { color: var(--dim); margin: 4px 0 18px; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; list-style: none; margin: 0; padding: 0; }
.tiles li { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 8px 14px; min-width: 104px; }
.tiles b { display: block; font-size: 22px; line-height: 1.2; font-variant-numeric: tabular-nums; }
article { background: var(--card); border: 1px solid var(--line); border-left-width: 5px; border-radius: 8px; padding: 12px 16px; margin: 0 0 12px; break-inside: avoid; }
article h3 { font-size: 15px; margin: 0 0 4px; overflow-wrap: anywhere; }
article p { margin: 4px 0; overflow-wrap: anywhere; }
.critical { border-left-color: var(--critical); } .warning { border-left-color: var(--warning); }
.unknown { border-left-color: var(--unknown); } .info { border-left-color: var(--info); }
.tag { font-size: 12px; font-weight: 700; text-transform: uppercase; letter-spacing: .04em; margin-right: 8px; }
.critical .tag, b.critical { color: var(--critical); } .warning .tag, b.warning { color: var(--warning); }
.unknown .tag, b.unknown { color: var(--unknown); } .info .tag, b.info { color: var(--info); }
.check { color: var(--dim); font-weight: 400; font-size: 13px; }
.fix { position: relative; margin: 8px 0 0; }
pre { background: var(--code); border-radius: 6px; margin: 0; padding: 10px 70px 10px 12px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
button { position: absolute; top: 6px; right: 6px; font: inherit; font-size: 12px; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 5px; padding: 2px 9px; cursor: pointer; }
details { margin-top: 6px; } summary { cursor: pointer; color: var(--dim); font-size: 13px; }
details p { white-space: pre-line; }
figure { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: 0 0 12px; padding: 12px 16px; break-inside: avoid; }
figcaption { margin-bottom: 8px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--dim); font-size: 12.5px; }
.legend { margin: 8px 0 0; font-size: 13px; color: var(--dim); } .legend span { margin-right: 14px; white-space: nowrap; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 5px; }
.past { fill: var(--past); background: var(--past); } .future { fill: var(--future); background: var(--future); } .gap { fill: var(--gap); background: var(--gap); }
.rows { fill: var(--rows); background: var(--rows); } .indexes { fill: var(--indexes); background: var(--indexes); } .track { fill: var(--track); background: var(--track); }
.used { fill: var(--future); } .good { fill: var(--good); background: var(--good); } .fair { fill: var(--fair); background: var(--fair); }
.poor { fill: var(--poor); background: var(--poor); } .none { fill: var(--none); background: var(--none); }
line.clean { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 3; }
line.now { stroke: var(--ink); stroke-width: 2; }
.scroll { max-height: 320px; overflow: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin-top: 6px; }
th, td { text-align: left; padding: 2px 14px 2px 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.checks { columns: 3 220px; margin: 0; padding-left: 18px; color: var(--dim); font-size: 14px; }
.checks li { break-inside: avoid; }
@media print { body { max-width: none; padding: 0; font-size: 12px; background: #fff; } button { display: none; } pre { padding-right: 12px; } .scroll { max-height: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
@media print and (prefers-color-scheme: dark) { body { background: var(--paper); } }
`;

/** Copies a fix where the browser can; the text can be selected everywhere. */
export const SCRIPT = `
for (const button of document.querySelectorAll('.fix button')) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    const text = button.parentElement.querySelector('pre').textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      const range = document.createRange();
      range.selectNodeContents(button.parentElement.querySelector('pre'));
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      button.textContent = document.execCommand('copy') ? 'Copied' : 'Selected';
    }
  });
}
`;
