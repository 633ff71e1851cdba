/**
 * The live page in a real Chromium, over a node under a little load: its figures move, it finds channels, exports the best
 * claim, asks nobody else for anything, and can be used by keyboard, in the dark and while its node is away.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { verify } from '@noble/secp256k1';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type ServingNode, serve } from '../../dist/src/serve.js';
import { xrplDigest } from '../../protocol/digest.ts';
import { createToken } from '../../src/control/scoped-tokens.ts';
import type { Logger } from '../../src/log.ts';
import { nodeSystem } from '../../src/system/system.ts';
import { Chromium, findChromium, type Page } from '../support/browser/chromium.ts';
import { temporaryFolders } from '../support/node-process.ts';
import { openingOf, signedClaim, WirePeer } from '../support/wire.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const CHANNELS = 12;
const LOAD_MS = 100;
const QUIET: Logger = { info: () => {}, warn: () => {}, error: () => {} };
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

const folder = temporaryFolders();
const program = findChromium();

test('there is a Chromium', () => {
  const advice = 'install Debian’s chromium-headless-shell or chromium';
  if (program === undefined) console.error(`THE TESTS OF THE LIVE PAGE DID NOT RUN: there is no Chromium; ${advice}`);
  if (process.env.CI === 'true') expect(program, advice).toBeDefined();
});

describe.skipIf(program === undefined)('the live page', () => {
  let data: string;
  let node: ServingNode;
  let browser: Chromium;
  let page: Page;
  let peer: WirePeer;
  let load: NodeJS.Timeout;
  let token: string;
  const amounts = new Map<bigint, bigint>();

  const local = (port: number) => ({ host: '127.0.0.1', port });
  const start = (http: number) =>
    serve({ data, udp: local(0), http: local(http), layout: 'lanes', lanes: 1, logger: QUIET });
  /** One claim of each channel a turn, and one that nobody signed. */
  const pay = async () => {
    peer = await WirePeer.to(node.node.udp);
    load = setInterval(() => {
      for (let id = 1n; id <= BigInt(CHANNELS); id++) {
        const amount = (amounts.get(id) ?? 0n) + id;
        amounts.set(id, amount);
        void peer.send(signedClaim(id, amount));
      }
      const spoilt = signedClaim(1n, amounts.get(1n)! + 1n);
      spoilt.fill(1, 40, 50);
      void peer.send(spoilt);
    }, LOAD_MS);
  };

  beforeAll(async () => {
    if (!existsSync('dist/src/page/main.js')) throw new Error('expected the compiled page, got none; run make build');
    data = folder('page');
    node = await start(0);
    token = createToken(data, { scope: 'read', channels: null }, nodeSystem).token;
    await node.node.openChannels(Array.from({ length: CHANNELS }, (_, index) => openingOf(BigInt(index + 1))));
    await pay();
    browser = new Chromium(program!);
    page = await browser.page('about:blank');
    await page.call('Network.enable');
    await page.call('Emulation.setScrollbarsHidden', { hidden: true });
    await page.call('Emulation.setDeviceMetricsOverride', {
      width: 1_440,
      height: 900,
      deviceScaleFactor: 1,
      mobile: false,
    });
    await page.call('Page.navigate', { url: `http://${node.http}/` });
  });
  afterAll(async () => {
    clearInterval(load);
    peer?.close();
    await Promise.all([browser?.close(), node?.stop()]);
  });

  const text = (selector: string) =>
    page.evaluate<string>(`document.querySelector(${JSON.stringify(selector)}).textContent`);
  const click = (selector: string) => page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
  const press = async (key: string, code: number) => {
    for (const type of ['keyDown', 'keyUp'])
      await page.call('Input.dispatchKeyEvent', { type, key, code: key, windowsVirtualKeyCode: code });
  };
  const submit = (field: string, form: string, value: string) =>
    page.evaluate(
      `document.querySelector('${field}').value = ${JSON.stringify(value)}, document.querySelector('${form}').requestSubmit()`,
    );
  const connection = (state: string) => `document.body.dataset.connection === '${state}'`;
  const colours = (scheme: 'light' | 'dark') =>
    page.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  const background = () => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');

  test('shows figures that move', async () => {
    await page.until(connection('live'));
    const received = `[...document.querySelectorAll('.tile .value span')].map((each) => each.textContent)`;
    await page.until(`Number(${received}[0].replaceAll(',', '')) > 50 && ${received}[3] !== '0'`);
    const before = await page.evaluate<string>(`${received}.join()`);
    await page.until(`${received}.join() !== ${JSON.stringify(before)}`);
    expect(await text('#reasons tbody')).toContain('refused: bad signature');
    expect(await page.evaluate(`document.querySelectorAll('.chart canvas').length`)).toBe(2);
    expect(await page.evaluate(`document.getElementById('rates-chart').getAttribute('aria-label')`)).toMatch(
      /Claims a second, the last 5 minutes. received: now [\d.,]+/,
    );
    await page.until(`document.getElementById('configuration').textContent.includes('after the claim is synced')`);
  });

  test('lists channels by exposure, in the order that is asked for, and finds one by either id', async () => {
    await click('#refresh');
    const handles = `[...document.querySelectorAll('#channel-table tbody th')].map((each) => each.textContent).join()`;
    const descending = Array.from({ length: CHANNELS }, (_, index) => CHANNELS - index).join();
    await page.until(`${handles} === '${descending}'`);
    await click('#channel-table th button');
    await click('#channel-table th button');
    await page.until(`${handles} === '${descending.split(',').reverse().join()}'`);
    expect(await page.evaluate(`document.querySelector('#channel-table th').ariaSort`)).toBe('ascending');
    const ledgerId = Buffer.from(openingOf(7n).ledgerChannelId).toString('hex').toUpperCase();
    for (const id of ['7', ledgerId]) {
      await submit('#search-id', '#search', id);
      await page.until(`document.getElementById('detail').open`);
      expect(await text('#detail')).toContain(ledgerId);
      expect(await text('#detail')).toContain('needs a token');
      await press('Escape', 27);
      await page.until(`!document.getElementById('detail').open`);
    }
    await submit('#search-id', '#search', '99');
    await page.until(`document.getElementById('channels-message').textContent.includes('no such channel')`);
    await submit('#search-id', '#search', '<b>x');
    await page.until(`document.getElementById('channels-message').textContent.includes('Expected a handle')`);
  });

  test('says what is wrong with a token, and exports the node’s best claim with a right one', async () => {
    await submit('#token', '#token-form', `${token}x`);
    await page.until(`document.getElementById('token-note').textContent.includes('does not know this token')`);
    expect(await page.evaluate(`Object.keys(sessionStorage).length`)).toBe(0);
    await submit('#token', '#token-form', token);
    await page.until(`document.getElementById('token-note').textContent.includes('kept in this tab')`);
    // The load stops, so that the best claim stays the best.
    clearInterval(load);
    await vi.waitFor(() => expect(node.node.channel(9n)?.committed).toBe(amounts.get(9n)));
    await submit('#search-id', '#search', '9');
    await page.until(`document.getElementById('export') !== null && document.getElementById('detail').open`);
    await click('#export');
    await page.until(`document.querySelector('#detail pre') !== null`);
    const exported = JSON.parse(await text('#detail pre')) as Record<'amount' | 'signature' | 'publicKey', string>;
    const best = node.node.channel(9n)!;
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();
    expect(exported).toMatchObject({
      channelId: '9',
      ledgerChannelId: hex(best.ledgerChannelId),
      amount: String(best.committed),
      signature: hex(best.signature),
      publicKey: hex(best.publicKey),
    });
    const digest = xrplDigest(best.ledgerChannelId, signedClaim(9n, BigInt(exported.amount)), 0);
    const [signature, key] = [exported.signature, exported.publicKey].map((each) => Buffer.from(each, 'hex'));
    expect(verify(signature!, digest, key!, { prehash: false })).toBe(true);
    await press('Escape', 27);
    await click('#token-forget');
    expect(await page.evaluate(`Object.keys(sessionStorage).length`)).toBe(0);
    await pay();
  });

  test('is light or dark as the system is, or as its switch says, and axe finds nothing serious in either', async () => {
    // What a tool puts into the page is not under the page's policy.
    await page.evaluate(readFileSync(AXE, 'utf8'));
    const findings = async () => {
      const run = `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' | ')))`;
      return page.evaluate<string[]>(run);
    };
    await colours('light');
    const light = await background();
    expect(await findings()).toEqual([]);
    await colours('dark');
    const dark = await background();
    expect(dark).not.toBe(light);
    expect(await findings()).toEqual([]);
    const choose = (choice: string) =>
      page.evaluate(
        `document.getElementById('theme').value = '${choice}', document.getElementById('theme').dispatchEvent(new Event('change', { bubbles: true }))`,
      );
    await choose('light');
    expect(await background()).toBe(light);
    await choose('system');
    expect(await background()).toBe(dark);
    await colours('light');
  });

  test('has every control on the way of the Tab key, and does not scroll sideways on a phone', async () => {
    const controls = `[...document.querySelectorAll('a[href], button, input, select')].filter((each) => each.checkVisibility()
      && (each.type !== 'radio' || each.checked))`;
    const count = await page.evaluate<number>(
      `(window.seen = new Set(), document.activeElement.blur(), ${controls}.length)`,
    );
    for (let turn = 0; turn < count + 20; turn++) {
      await press('Tab', 9);
      await page.evaluate(`void window.seen.add(document.activeElement)`);
    }
    expect(
      await page.evaluate(`${controls}.filter((each) => !window.seen.has(each)).map((each) => each.outerHTML)`),
    ).toEqual([]);
    expect(count).toBeGreaterThan(CHANNELS + 15);
    await page.call('Emulation.setDeviceMetricsOverride', {
      width: 390,
      height: 844,
      deviceScaleFactor: 1,
      mobile: true,
    });
    // The charts take their new width in the next frame.
    await page.until(`document.documentElement.scrollWidth <= 390`);
  });

  test('says that its figures are old while the node is away, and comes back by itself', async () => {
    const { http } = node;
    clearInterval(load);
    await node.stop();
    await page.until(connection('lost'));
    await page.until(
      `/What is shown is \\d+ s old\\. Connecting again/.test(document.getElementById('banner').textContent)`,
    );
    expect(await text('#status')).toBe('Disconnected');
    node = await start(Number(http.split(':')[1]));
    await page.until(connection('live'));
    expect(await page.evaluate(`document.getElementById('banner').hidden`)).toBe(true);
    await click('#refresh');
    await page.until(`document.querySelectorAll('#channel-table tbody tr').length === ${CHANNELS}`);
  });

  test('has asked its own node alone, with no token in an address, and left nothing in the console', () => {
    expect(page.requests.length).toBeGreaterThan(20);
    expect(page.requests.filter((url) => !url.startsWith(`http://${node.http}/`) && !url.startsWith('blob:'))).toEqual(
      [],
    );
    expect(page.requests.filter((url) => url.includes(token))).toEqual([]);
    // The browser itself notes answers that the test provoked: 401, 404, and a node that is away.
    expect(page.faults.filter((fault) => !/net::ERR_|status of 40[14]/.test(fault))).toEqual([]);
  });
});
