/** A headless Chromium, driven by the DevTools protocol over two pipes: no library, no port. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const NAMES = ['chromium-headless-shell', 'chromium', 'google-chrome'];
const CALL_MS_MAX = 20_000;
const FLAGS = [
  '--headless',
  '--remote-debugging-pipe',
  '--no-first-run',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-extensions',
  // It is started by root in a container, and opens pages of ours alone.
  '--no-sandbox',
  // WebRTC otherwise leaves the loopback interface out.
  '--allow-loopback-in-peer-connection',
];

type Message = { id?: number; method?: string; params?: Record<string, unknown>; sessionId?: string } & Record<
  string,
  unknown
>;

/** The program, or undefined where there is none. */
export function findChromium(): string | undefined {
  return NAMES.find((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0);
}

export class Chromium {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #out: Writable;
  readonly #calls = new Map<number, (message: Message) => void>();
  readonly #events = new Map<string, (message: Message) => void>();
  #lastId = 0;
  #text = '';

  constructor(program: string) {
    this.#profile = mkdtempSync(join(tmpdir(), 'claimwire-chromium-'));
    const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] as const;
    const flags = [...FLAGS, `--user-data-dir=${this.#profile}`, 'about:blank'];
    // In a group of its own, since helpers of it outlive it for a moment.
    this.#process = spawn(program, flags, { stdio: [...stdio], detached: true });
    this.#out = this.#process.stdio[3] as Writable;
    (this.#process.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => this.#read(text));
  }

  /** A new page. Tabs of one context share their storage. */
  async page(url: string): Promise<Page> {
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, String(sessionId), String(targetId));
    this.#events.set(String(sessionId), (message) => page.event(message));
    for (const domain of ['Runtime', 'Log', 'Page']) await page.call(`${domain}.enable`);
    await page.call('Page.navigate', { url });
    return page;
  }

  async call(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const reply = new Promise<Message>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no reply`)), CALL_MS_MAX);
      this.#calls.set(id, (message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });
    this.#out.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    const { result, error } = await reply;
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`);
    return result as Record<string, unknown>;
  }

  async close(): Promise<void> {
    const exited = once(this.#process, 'exit');
    process.kill(-this.#process.pid!, 'SIGKILL');
    await exited;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #read(text: string): void {
    const messages = (this.#text + text).split('\0');
    this.#text = messages.pop()!;
    for (const json of messages) {
      const message = JSON.parse(json) as Message;
      if (message.id === undefined) this.#events.get(message.sessionId ?? '')?.(message);
      else this.#calls.get(message.id)?.(message);
      if (message.id !== undefined) this.#calls.delete(message.id);
    }
  }
}

/** A tab. */
export class Page {
  /** Errors in the console, and exceptions that nobody caught. */
  readonly faults: string[] = [];
  /** Addresses that were asked for, once the domain `Network` is enabled. */
  readonly requests: string[] = [];
  readonly #browser: Chromium;
  readonly #sessionId: string;
  readonly #targetId: string;

  constructor(browser: Chromium, sessionId: string, targetId: string) {
    this.#browser = browser;
    this.#sessionId = sessionId;
    this.#targetId = targetId;
  }

  call(method: string, params: object = {}): Promise<Record<string, unknown>> {
    return this.#browser.call(method, params, this.#sessionId);
  }

  /** The value of an expression, or of the promise that it is. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const options = { expression, awaitPromise: true, returnByValue: true, userGesture: true };
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', options);
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value: Value }).value;
  }

  /** Resolves when an expression is true. */
  async until(expression: string, msMax = CALL_MS_MAX): Promise<void> {
    const end = Date.now() + msMax;
    while (!(await this.evaluate<boolean>(expression).catch(() => false))) {
      if (Date.now() > end)
        throw new Error(`expected ${expression}; the page has ${this.faults.join('; ') || 'no fault'}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    return Buffer.from(String(data), 'base64');
  }

  async close(): Promise<void> {
    await this.#browser.call('Target.closeTarget', { targetId: this.#targetId });
  }

  event({ method, params = {} }: Message): void {
    if (method === 'Runtime.exceptionThrown') this.faults.push(JSON.stringify(params.exceptionDetails));
    if (method === 'Network.requestWillBeSent') this.requests.push((params.request as { url: string }).url);
    if (method === 'Log.entryAdded') {
      const { level, text } = params.entry as { level: string; text: string };
      if (level === 'error') this.faults.push(text);
    }
    if (method === 'Runtime.consoleAPICalled' && params.type === 'error') this.faults.push(JSON.stringify(params.args));
  }
}
