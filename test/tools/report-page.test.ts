import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { createFolder } from '../support/folder.ts';
import { readingsWorthALook, THEN } from '../support/inspected-readings.ts';
import type { TestDatabase } from '../support/server.ts';

// Root may not start Chromium in its sandbox; the rest keeps it from asking for anything by itself.
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

describe('the page of a report, in Chromium', () => {
  let database: TestDatabase;
  let browser: Browser;
  const folder = createFolder();
  let address = '';

  beforeAll(async () => {
    database = await readingsWorthALook();
    const { stdout } = await runCli(['inspect', '--format', 'html'], { url: database.url, now: THEN });
    address = `file://${folder.write('report.html', stdout)}`;
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ARGUMENTS });
  });
  afterAll(async () => {
    await browser.close();
    folder.remove();
    await database.drop();
  });

  /** Opens the page; what it complains of, and asks for, is kept. */
  async function open(options: Parameters<Browser['newPage']>[0]): Promise<{ page: Page; said: string[] }> {
    const page = await browser.newPage(options);
    const said: string[] = [];
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(error.message));
    page.on('request', (request) => {
      if (request.url() !== address) said.push(request.url());
    });
    await page.goto(address);
    return { page, said };
  }

  it.each([
    ['a wide screen', 1400],
    ['a telephone', 360],
  ])('fits %s, without a word on the console or a request', async (_what, width) => {
    const { page, said } = await open({ viewport: { width, height: 800 } });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    expect(said).toEqual([]);
    await page.close();
  });

  it('is light and dark as the reader has it, with text that stands out from its ground', async () => {
    const grounds: number[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await open({ colorScheme });
      const [ground, ink] = (await Promise.all(
        ['backgroundColor', 'color'].map((what) =>
          luminance(page, `getComputedStyle(document.body).${what}`),
        ),
      )) as [number, number];
      // WCAG 2.1, 1.4.3: at least 4.5.
      expect((Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05)).toBeGreaterThan(4.5);
      grounds.push(ground);
      await page.close();
    }
    expect(grounds[0]).toBeGreaterThan(grounds[1] as number);
  });

  it('has every picture drawn, with a name of its own for those who cannot see it', async () => {
    const { page } = await open({});
    const pictures = await page.getByRole('img').all();
    expect(pictures.length).toBeGreaterThanOrEqual(5);
    for (const picture of pictures) {
      expect(await picture.getAttribute('aria-label')).toMatch(/^\w[\w ]+: ./);
      const box = await picture.boundingBox();
      expect(box?.height).toBeGreaterThan(20);
    }
    await page.close();
  });

  it('copies a fix', async () => {
    const { page } = await open({});
    const button = page.getByRole('button', { name: 'Copy' }).first();
    const fix = await page.locator('.fix pre').first().textContent();
    await button.click();
    const pressed = page.locator('.fix button').first();
    await expect.poll(() => pressed.textContent()).toBe('Copied');
    // Pasted into a field, it is what stands there.
    await page.evaluate(
      `document.body.insertAdjacentHTML('beforeend', '<textarea id="here"></textarea>'); document.getElementById('here').focus()`,
    );
    await page.keyboard.press('Control+V');
    expect(await page.locator('#here').inputValue()).toBe(fix);
    await page.close();
  });

  it('prints, on white, with no button', async () => {
    const { page } = await open({ colorScheme: 'dark' });
    await page.emulateMedia({ media: 'print', colorScheme: 'light' });
    expect(await page.locator('.fix button').first().isVisible()).toBe(false);
    expect(await luminance(page, 'getComputedStyle(document.body).backgroundColor')).toBe(1);
    const paper = await page.pdf({ format: 'A4' });
    expect(paper.subarray(0, 5).toString()).toBe('%PDF-');
    await page.close();
  });
});

/** The relative luminance of a colour, from 0 to 1 (WCAG 2.1). */
async function luminance(page: Page, expression: string): Promise<number> {
  const color = String(await page.evaluate(expression));
  const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).slice(0, 3).map((part) => {
    const share = Number(part) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
