/**
 * Which threads there are and which steps they run; starts them, stops them, and says when one has failed. Main thread.
 */
import { Worker } from 'node:worker_threads';
import type { LayoutName } from '../config.ts';
import { ClaimwireError, ERROR_CODES } from '../errors.ts';
import type { Arena } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import { ControlWords, PHASE_STOPPING } from '../ring/control-words.ts';
import type { IdleStrategy } from '../ring/idle.ts';
import type { BackendName } from '../verify/backend.ts';
import type { KernelStart } from '../verify/kernel.ts';
import type { JournalStart, ThreadContext, ThreadReady, ThreadRole } from './context.ts';

export interface TopologyOptions {
  layout: LayoutName;
  verifiers: number;
  backend: BackendName;
  kernel: Omit<KernelStart, 'thread'>;
  idle: IdleStrategy;
  udp: { host: string; port: number };
  journal: JournalStart;
  /** Longest wait for claims in flight when stopping, milliseconds. */
  drainMsMax: number;
  /** A thread ended that should not have: the node cannot go on. Called once. */
  onFailure: (error: Error) => void;
}

/** The roles of a layout, in the order their counter blocks are numbered. */
export function rolesOf(layout: LayoutName, verifiers: number): ThreadRole[] {
  if (layout === 'lanes') return ['lane'];
  return ['committer', ...new Array<ThreadRole>(verifiers).fill('verifier'), 'net'];
}

/** Threads with an instance of the kernel: those that verify, and the main thread for its counters. */
export function kernelThreads(layout: LayoutName, verifiers: number): number {
  return rolesOf(layout, verifiers).filter((role) => role === 'verifier' || role === 'lane').length + 1;
}

export class Topology {
  readonly rings: readonly ClaimRing[];
  readonly control: ControlWords;
  /** Where claims are taken, `H:P`. */
  udp = '';
  receiveBufferBytes = 0;
  readonly #arena: Arena;
  readonly #options: TopologyOptions;
  readonly #exits: Promise<void>[] = [];
  readonly #workers: Worker[] = [];
  #failure: Error | undefined;
  #hasEnded = false;

  private constructor(arena: Arena, options: TopologyOptions) {
    this.#arena = arena;
    this.#options = options;
    this.control = new ControlWords(arena);
    this.rings = Array.from({ length: arena.plan.shape.rings }, (_, ring) => new ClaimRing(arena, ring));
  }

  /** Starts the threads, the one with the socket last, so that the first claim finds everybody there. */
  static async start(arena: Arena, options: TopologyOptions): Promise<Topology> {
    const topology = new Topology(arena, options);
    const roles = rolesOf(options.layout, options.verifiers);
    try {
      for (const [thread, role] of roles.entries()) await topology.#spawn(role, thread);
    } catch (error) {
      await Promise.all(topology.#workers.map((worker) => worker.terminate()));
      throw error;
    }
    return topology;
  }

  /** Why the threads are no more, where they did not end as asked. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Resolves once no group is open that began before the call, in any lane. Throws NODE_FAILED. */
  async fence(): Promise<void> {
    const asked = this.control.askFence();
    const isPassed = () =>
      this.#failure !== undefined || this.#hasEnded || this.rings.every((ring) => ring.fencePassed >= asked);
    for (const ring of this.rings) ring.ringAll();
    while (!isPassed()) await this.control.mainDoorbell.sleepAsync(isPassed);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Takes in nothing more, commits and acknowledges what is in, ends the threads. Claims left after the bound are dropped. */
  async stop(): Promise<void> {
    this.control.advanceTo(PHASE_STOPPING);
    for (const ring of this.rings) ring.ringAll();
    const deadline = setTimeout(() => {
      this.control.abandon();
      for (const ring of this.rings) ring.ringAll();
    }, this.#options.drainMsMax);
    await Promise.all(this.#exits);
    clearTimeout(deadline);
    this.#hasEnded = true;
    this.control.mainDoorbell.ring();
  }

  async #spawn(role: ThreadRole, thread: number): Promise<void> {
    const context: ThreadContext = {
      role,
      memory: this.#arena.memory,
      shape: this.#arena.plan.shape,
      ring: 0,
      thread,
      backend: this.#options.backend,
      // Instance 0 is the main thread's; in a pipeline the verifiers' counter blocks are numbered from 1 as well.
      kernel: { ...this.#options.kernel, thread: role === 'lane' ? 1 : thread },
      idle: this.#options.idle,
      udp: this.#options.udp,
      journal: this.#options.journal,
    };
    const worker = new Worker(new URL('./boot.js', import.meta.url), { workerData: context, name: role });
    this.#workers.push(worker);
    this.#exits.push(new Promise((resolve) => worker.once('exit', () => resolve())));
    const message = await new Promise<ThreadReady>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', (error) => reject(asStartError(role, error, this.#options.udp)));
    });
    if (message.udp !== undefined) {
      this.udp = message.udp;
      this.receiveBufferBytes = message.receiveBufferBytes ?? 0;
    }
    worker.on('error', (error) => this.#fail(role, error));
    worker.on('exit', () => {
      if (this.control.phase < PHASE_STOPPING) this.#fail(role, new Error('the thread ended by itself'));
    });
  }

  #fail(role: ThreadRole, cause: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = new ClaimwireError('NODE_FAILED', `${role} thread: ${cause.message}`, {}, { cause });
    this.control.mainDoorbell.ring();
    // The others would wait for its part in a stop for ever, and a verdict without a committer is worth nothing.
    for (const worker of this.#workers) void worker.terminate();
    this.#options.onFailure(this.#failure);
  }
}

function asStartError(role: ThreadRole, error: Error, udp: { host: string; port: number }): Error {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL')
    return new ClaimwireError(
      'CONFIG_INVALID',
      `--udp ${udp.host}:${udp.port}: expected an address that is free to bind, got ${code}; choose another, or port 0`,
    );
  const known = ERROR_CODES.find((name) => name === code) ?? 'NODE_FAILED';
  return new ClaimwireError(known, `${role} thread: ${error.message}`, {}, { cause: error });
}
