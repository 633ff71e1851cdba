/**
 * The node's side of its web process (src/web): starts it, passes claims and acks between it and the threads, and starts
 * it again when it fails. Main thread.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { MessagePort } from 'node:worker_threads';
import { parseControlRequest } from '../../protocol/control.ts';
import { ClaimwireError, ERROR_CODES } from '../errors.ts';
import { type HostPort, hostPortText } from '../host-port.ts';
import type { Logger } from '../log.ts';
import type { ControlPort } from '../transport/control-port.ts';
import type { WebAnswers, WebClaims } from '../transport/web.ts';
import { type WebCounterName, type WebCounts, zeroCounts } from '../web/counters.ts';
import type { FromWeb, ToWeb, WebCall, WebSettings } from '../web/messages.ts';

/** Before it is started again: longer each time that it failed within a minute, up to the second. */
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 10_000;
const STABLE_MS = 60_000;
const CLOSE_MS_MAX = 5_000;
/** Between two messages of answers, as between those of claims (web/limits.ts): each is a wake-up of two processes. */
const ANSWERS_MS = 1;

/** Of one thread, on their way to the web process. */
interface Answers {
  taken: number;
  acks: Uint8Array[];
}

export class WebProcess {
  readonly counts: WebCounts = zeroCounts();
  /** Where it listens. */
  address: HostPort;
  readonly #settings: WebSettings;
  readonly #ports: readonly MessagePort[];
  readonly #control: ControlPort;
  readonly #logger: Logger;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #restartMs = RESTART_MS_MIN;
  #startedAt = 0;
  #isReceiving = true;
  #isOver = false;
  /** By thread. */
  readonly #waiting: Answers[];
  #isResting = false;

  private constructor(settings: WebSettings, ports: readonly MessagePort[], control: ControlPort, logger: Logger) {
    this.#control = control;
    this.#settings = settings;
    this.#ports = ports;
    this.#logger = logger;
    this.address = settings.listen;
    this.#waiting = ports.map(() => ({ taken: 0, acks: [] }));
    ports.forEach((port, ring) => {
      port.on('message', (answers: WebAnswers) => this.#answers(ring, answers));
      port.unref();
    });
  }

  /**
   * Resolves when it listens. Rejects with CONFIG_INVALID for an address that cannot be bound, and with DEPENDENCY_MISSING.
   * @param ports to the threads that take claims
   * @param control answers the peers' control messages
   */
  static async start(
    settings: Omit<WebSettings, 'rings'>,
    ports: readonly MessagePort[],
    control: ControlPort,
    logger: Logger,
  ): Promise<WebProcess> {
    const web = new WebProcess({ ...settings, rings: ports.length }, ports, control, logger);
    try {
      await web.#start();
      return web;
    } catch (error) {
      await web.terminate();
      throw error;
    }
  }

  /** Sends at once what comes after a rest, and what comes in it together. */
  #answers(ring: number, { taken, acks }: WebAnswers): void {
    const waiting = this.#waiting[ring]!;
    waiting.taken += taken;
    waiting.acks.push(acks);
    if (!this.#isResting) this.#tellAnswers();
  }

  #tellAnswers(): void {
    const answers = this.#waiting.flatMap(({ taken, acks }, ring) => {
      if (acks.length === 0) return [];
      this.#waiting[ring] = { taken: 0, acks: [] };
      return [{ ring, taken, acks: acks.length === 1 ? acks[0]! : Buffer.concat(acks) }];
    });
    this.#isResting = answers.length > 0;
    if (!this.#isResting) return;
    this.#tell({ event: 'answers', answers });
    setTimeout(() => this.#tellAnswers(), ANSWERS_MS);
  }

  /** Nothing more comes from peers; acks still leave. */
  stopReceiving(): void {
    this.#isReceiving = false;
    clearTimeout(this.#timer);
    this.#tell({ event: 'stopReceiving' });
  }

  /** Resolves when what was sent so far has left, and the process has ended. */
  async close(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#tellAnswers();
    this.#tell({ event: 'close' });
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), CLOSE_MS_MAX);
    await this.#exited;
    clearTimeout(timer);
    this.#closePorts();
  }

  /** Ends it now. */
  async terminate(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#child?.kill('SIGKILL');
    await this.#exited;
    this.#closePorts();
  }

  #closePorts(): void {
    for (const port of this.#ports) port.close();
  }

  async #start(): Promise<void> {
    this.#startedAt = performance.now();
    const child = fork(new URL('../web/main.js', import.meta.url), [], {
      serialization: 'advanced',
      execArgv: [],
      // What it cannot go on with is told on the node's stderr.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
      // More than once where it could not be started: without a listener the second would end the node.
      child.on('error', () => resolve());
    });
    await new Promise<void>((resolve, reject) => {
      const ended = () => reject(new ClaimwireError('NODE_FAILED', 'web: expected its process to start, got its end'));
      child.once('exit', ended);
      child.once('error', ended);
      child.on('message', (message: FromWeb) => {
        if (message.event === 'claims') for (const { ring, batch } of message.batches) this.#pass(ring, batch);
        else if (message.event === 'control') void this.#answer(message);
        else if (message.event === 'counts') this.#count(message.counts);
        else if (message.event === 'fault') reject(startFault(this.#settings.listen, message.code, message.message));
        else {
          this.address = message.address;
          child.off('exit', ended);
          child.once('exit', (code, signal) => this.#ended(signal ?? String(code)));
          resolve();
        }
      });
      child.send({ event: 'start', settings: { ...this.#settings, listen: this.address } } satisfies ToWeb);
    });
  }

  /** A copy of its own, so that the thread gets it without another. */
  #pass(ring: number, batch: Uint8Array): void {
    if (!this.#isReceiving) return;
    const claims: WebClaims = new Uint8Array(batch);
    this.#ports[ring]?.postMessage(claims, [claims.buffer]);
  }

  /**
   * What another process says that it has checked is checked again. Its peers are never trusted with the operator's token,
   * whatever protects their connection: pages are where it must not be.
   */
  async #answer({ call, request, nonce }: WebCall): Promise<void> {
    const checked = parseControlRequest(request);
    const session = { nonce, isProtected: false };
    const reply = 'ok' in checked ? checked : await this.#control.request(checked, session);
    this.#tell({ event: 'reply', call, reply });
  }

  #count(counts: Partial<WebCounts>): void {
    for (const [name, more] of Object.entries(counts) as [WebCounterName, number][]) this.counts[name] += more;
  }

  /** The claims on their way are as those of datagrams lost: payers send them again. */
  #ended(how: string): void {
    this.#child = undefined;
    if (this.#isOver || !this.#isReceiving) return;
    this.counts.restarts++;
    this.counts.closed = this.counts.accepted;
    this.counts.websocketClosed = this.counts.websocketAccepted;
    if (performance.now() - this.#startedAt > STABLE_MS) this.#restartMs = RESTART_MS_MIN;
    this.#logger.warn(`web: its process ended (${how}); it is started again in ${this.#restartMs} ms`);
    this.#timer = setTimeout(() => {
      this.#start().catch((error: Error) => {
        this.#logger.warn(`web: ${error.message}`);
        this.#child?.kill('SIGKILL');
        this.#ended('no start');
      });
    }, this.#restartMs);
    this.#restartMs = Math.min(RESTART_MS_MAX, 2 * this.#restartMs);
  }

  #tell(message: ToWeb): void {
    if (this.#child?.connected) this.#child.send(message, () => {});
  }
}

function startFault(listen: HostPort, code: string, message: string): ClaimwireError {
  if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL')
    return new ClaimwireError(
      'CONFIG_INVALID',
      `--web ${hostPortText(listen)}: expected an address that is free to bind, got ${code}; choose another, or port 0`,
    );
  return new ClaimwireError(ERROR_CODES.find((known) => known === code) ?? 'NODE_FAILED', `web: ${message}`);
}
