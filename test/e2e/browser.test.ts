/**
 * A page in a real Chromium pays a node as an operator runs it, through examples/browser: by WebRTC, then with UDP blocked
 * in the middle, over a reload and the loss of its amounts, and with a second tab. What is acknowledged to the page is what the node has committed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Chromium, findChromium, type Page } from '../support/browser/chromium.ts';
import { WebMiddle } from '../support/browser/web-middle.ts';
import { getJson, NodeProcess, type ReadyLine, temporaryFolders } from '../support/node-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const SERVER = resolve(import.meta.dirname, '../../examples/browser/server.mjs');
/** Of the page's whole script, compressed. */
const BUNDLE_BYTES_MAX = 60_000;
const PRICE = 10;

const folder = temporaryFolders();
const program = findChromium();

test('there is a Chromium', () => {
  const advice = 'install Debian’s chromium-headless-shell or chromium';
  if (program === undefined) console.error(`THE BROWSER TESTS DID NOT RUN: there is no Chromium here; ${advice}`);
  if (process.env.CI === 'true') expect(program, advice).toBeDefined();
});

describe.skipIf(program === undefined)('a page', () => {
  let node: NodeProcess;
  let ready: ReadyLine;
  let middle: WebMiddle;
  let browser: Chromium;
  let page: Page;
  let origin: string;
  const toEnd: (() => unknown)[] = [];

  beforeAll(async () => {
    browser = new Chromium(program!);
    const data = folder('browser');
    node = new NodeProcess(data, ['--web', '127.0.0.1:0', '--webrtc', '--web-origin', '*']);
    ready = await node.ready;
    const { web } = ready as unknown as { web: string };
    middle = await WebMiddle.open(Number(web.split(':')[1]));
    const args = [SERVER, `http://${ready.http}`, join(data, 'admin-token'), middle.url];
    const server = spawn(process.execPath, args, {
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    toEnd.push(() => server.kill('SIGKILL'));
    const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
    origin = /http:\/\/[\d.:]+/.exec(line)![0];
  });
  afterAll(async () => {
    await Promise.all([browser?.close(), node?.stop()]);
    middle?.close();
    for (const end of toEnd) end();
  });

  const text = (id: string) => page.evaluate<string>(`document.getElementById('${id}').textContent`);
  const number = async (id: string) => Number((await text(id)).replaceAll(',', ''));
  const isReady = `document.getElementById('burst')?.disabled === false`;
  /** Clicks on Pay for so many payments, and waits until all that the page has made are acknowledged. */
  const pay = async (count: number, whole: number) => {
    await page.evaluate(`document.getElementById('count').value = ${count}, document.getElementById('burst').click()`);
    await page.until(`document.getElementById('acknowledged').textContent === '${whole.toLocaleString('en')}'`, 30_000);
  };
  const committed = async () => {
    const channels = await getJson<{ committed: string }[]>(ready, '/channels');
    return channels.map((channel) => Number(channel.committed));
  };

  test('has a script of less than 60 kB, compressed', async () => {
    const script = Buffer.from(await (await fetch(`${origin}/page.js`)).arrayBuffer());
    expect(gzipSync(script, { level: 9 }).length).toBeLessThan(BUNDLE_BYTES_MAX);
  });

  test('pays a thousand claims by WebRTC, and the node has committed what it says', async () => {
    page = await browser.page(`${origin}/?by=webrtc`);
    await page.until(isReady);
    await pay(1_000, 1_000);
    expect(await text('transport')).toBe('WebRTC');
    expect(await number('paid')).toBe(1_000 * PRICE);
    expect(await committed()).toEqual([1_000 * PRICE]);
    expect(middle.passed).toBeGreaterThan(100);
  });

  test('does not pay in a second tab', async () => {
    const second = await browser.page(origin);
    await second.until(`document.getElementById('status').textContent.includes('another tab')`);
    expect(await second.evaluate(isReady)).toBe(false);
    await second.close();
  });

  test('goes on from what the node holds, where its amounts were lost and its key was not', async () => {
    // A page of the same origin that holds no lock.
    await page.call('Page.navigate', { url: `${origin}/style.css` });
    await page.until(`location.pathname === '/style.css'`);
    const deleted = `new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase('claimwire:example');
      request.onsuccess = () => resolve(true);
      request.onerror = () => reject(request.error);
    })`;
    expect(await page.evaluate<boolean>(deleted)).toBe(true);
    await page.call('Page.navigate', { url: `${origin}/?by=webrtc` });
    await page.until(`${isReady} && document.getElementById('paid').textContent === '0'`);
    await pay(50, 50);
    expect(await number('paid')).toBe(1_050 * PRICE);
    expect(await committed()).toEqual([1_050 * PRICE]);
  });

  test('goes on by WebSocket where UDP is blocked in the middle, after a reload that lost nothing', async () => {
    await page.call('Page.navigate', { url: `${origin}/` });
    await page.until(`${isReady} && document.getElementById('acknowledged').textContent === '0'`);
    // It kept what it had signed, not the last acks: these it asks the node for.
    expect(await number('paid')).toBeLessThanOrEqual(1_050 * PRICE);
    await pay(100, 100);
    expect(await number('paid')).toBe(1_150 * PRICE);
    // Whichever was faster, it returns to WebRTC.
    await page.evaluate(`document.getElementById('stream').click()`);
    await page.until(`document.getElementById('transport').textContent === 'WebRTC'`, 15_000);
    middle.udpBlocked = true;
    await page.until(`document.getElementById('transport').textContent === 'WebSocket'`, 15_000);
    await page.evaluate(`document.getElementById('stream').click()`);
    await page.evaluate(`document.getElementById('count').value = 500, document.getElementById('burst').click()`);
    const isAll = `Number(document.getElementById('left').textContent.replaceAll(',', '')) + Number(document.getElementById('paid').textContent.replaceAll(',', '')) === 1000000`;
    await page.until(
      `Number(document.getElementById('acknowledged').textContent.replaceAll(',', '')) >= 600 && ${isAll}`,
      30_000,
    );
    expect(await text('transport')).toBe('WebSocket');
    expect(middle.blocked).toBeGreaterThan(0);
    const acknowledged = await number('acknowledged');
    expect(await number('paid')).toBe((1_050 + acknowledged) * PRICE);
    expect(await committed()).toEqual([(1_050 + acknowledged) * PRICE]);
    // The console has the connections that failed, as it should, and nothing else.
    expect(page.faults.filter((fault) => !/net::|WebSocket connection/.test(fault))).toEqual([]);
  });
});
