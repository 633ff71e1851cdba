/** The flame graph's page in a real browser: zoom, search, waiting, keyboard, and what axe says of it, light and dark. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { flamePage } from '../../../src/inspect/flame-page.ts';
import { Chromium, findChromium, type Page } from '../../support/browser/chromium.ts';
import { PROFILE } from '../../support/fake-inspect.ts';

const program = findChromium();
const folder = mkdtempSync(join(tmpdir(), 'claimwire-flame-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(program === undefined)('in Chromium', () => {
  let chromium: Chromium;
  let page: Page;
  beforeAll(async () => {
    const main = { ...PROFILE.threads[0]!, name: 'main' };
    const file = join(folder, 'page.html');
    writeFileSync(file, flamePage({ ...PROFILE, threads: [main, ...PROFILE.threads] }));
    chromium = new Chromium(program!);
    page = await chromium.page(pathToFileURL(file).href);
    await page.until("document.querySelectorAll('.frame').length > 0");
  });
  afterAll(() => chromium?.close());

  const frames = () =>
    page.evaluate<string[]>("[...document.querySelectorAll('.frame')].map((frame) => frame.textContent)");
  const click = (text: string) =>
    page.evaluate(`[...document.querySelectorAll('button')].find((b) => b.textContent.startsWith('${text}')).click()`);

  test('the first lane is shown without waiting; waiting, a search and a zoom change it, Escape takes the zoom back', async () => {
    expect(await frames()).toEqual(['lane 0: all', 'step', 'C of the addon, called by step']);
    expect(await page.evaluate("document.getElementById('about').textContent")).toContain(
      'No answer from: verifier 1.',
    );
    await page.evaluate("document.getElementById('waiting').click()");
    expect((await frames()).sort()).toEqual(
      ['(idle)', 'C of the addon, called by step', 'fdatasync', 'lane 0: all', 'step'].sort(),
    );
    await page.evaluate("document.getElementById('waiting').click()");
    await page.evaluate(
      "(() => { const box = document.getElementById('search'); box.value = 'ADDON'; box.dispatchEvent(new Event('input')); })()",
    );
    expect(await page.evaluate("document.getElementById('found').textContent")).toBe('80.0 % of what is shown');
    expect(await page.evaluate("document.querySelectorAll('.frame.hit').length")).toBe(1);
    await click('C of the addon');
    const width = "[...document.querySelectorAll('.frame')].at(-1).style.width";
    expect(await page.evaluate(width)).toBe('100%');
    await page.evaluate("dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }))");
    expect(await page.evaluate(width)).toBe('80%');
    await click('main');
    expect((await frames())[0]).toBe('main: all');
    expect(await page.evaluate("document.querySelector('#top tr').textContent")).toContain('80.0 %');
    expect(page.faults).toEqual([]);
  });

  test.each(['light', 'dark'])('%s: axe finds nothing', async (scheme) => {
    await page.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    await page.evaluate(`${axe}; true`);
    const found = await page.evaluate<{ id: string; nodes: unknown[] }[]>(
      'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) })))',
    );
    expect(found).toEqual([]);
  });
});
