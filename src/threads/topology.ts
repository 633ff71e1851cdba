/** Starts a layout's threads, stops them, and reports when one has failed. Main thread. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { LayoutName } from '../config.ts';
import { ClaimwireError, ERROR_CODES } from '../errors.ts';
import { type HostPort, hostPortText } from '../host-port.ts';
import type { Arena } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import { ControlWords, PHASE_STOPPING } from '../ring/control-words.ts';
import type { LogStart } from '../store/store.ts';
import { LocalCalls } from '../transport/local-calls.ts';
import type { KernelStart } from '../verify/kernel.ts';
import type { TcpStart, ThreadContext, ThreadReady, ThreadRole, ThreadSettings } from './context.ts';
import { awaitFence } from './fence.ts';

export interface TopologyOptions {
  plan: ThreadPlan;
  settings: ThreadSettings;
  kernel: Omit<KernelStart, 'thread'>;
  udp: HostPort;
  tcp: Omit<TcpStart, 'isShared'>;
  /** Called with the main thread's end of each thread's channel for control messages. */
  onControlPort: (port: MessagePort) => void;
  /** Called with the main thread's end of each thread's port for the web process, in the order of rings. */
  onWebPort?: ((port: MessagePort) => void) | undefined;
  /** Where each ring's groups go. */
  logs: readonly LogStart[];
  /** The longest wait for claims in flight when stopping, milliseconds. */
  drainMsMax: number;
  /** Called once when a thread ended that should not have: the node cannot continue. */
  onFailure: (error: Error) => void;
}

/** A layout and its numbers of threads. */
export interface ThreadPlan {
  layout: LayoutName;
  lanes: number;
  verifiers: number;
}

/** The roles of a layout, in the order of their counter blocks. */
export function rolesOf({ layout, lanes, verifiers }: ThreadPlan): ThreadRole[] {
  if (layout === 'lanes') return new Array<ThreadRole>(lanes).fill('lane');
  return ['committer', ...new Array<ThreadRole>(verifiers).fill('verifier'), 'net'];
}

/** How many rings there are, each with a journal: one per lane, or one. */
export function ringsOf({ layout, lanes }: ThreadPlan): number {
  return layout === 'lanes' ? lanes : 1;
}

/** How many threads have an instance of the kernel: those that verify, and the main thread for its counters. */
export function kernelThreads(plan: ThreadPlan): number {
  return rolesOf(plan).filter((role) => role === 'verifier' || role === 'lane').length + 1;
}

export class Topology {
  readonly rings: readonly ClaimRing[];
  readonly control: ControlWords;
  /** Where claims are received. */
  udp: HostPort;
  tcp: HostPort | undefined;
  /** Of each socket. */
  receiveBufferBytes = 0;
  /** Where the node's own program submits claims. */
  readonly local: LocalCalls;
  readonly #localPort: MessagePort;
  readonly #arena: Arena;
  readonly #options: TopologyOptions;
  readonly #exits: Promise<void>[] = [];
  readonly #workers: Worker[] = [];
  #failure: ClaimwireError | undefined;
  /** Rejects with the failure. Its rejection is always handled, since often nobody waits for it. */
  readonly #failed: Promise<never>;
  #fail!: (failure: ClaimwireError) => void;
  #hasStarted = false;
  #isTerminated = false;
  #hasEnded = false;

  private constructor(arena: Arena, options: TopologyOptions) {
    this.#arena = arena;
    this.#options = options;
    this.udp = options.udp;
    this.tcp = options.tcp.listen;
    this.control = new ControlWords(arena);
    const { port1, port2 } = new MessageChannel();
    this.local = new LocalCalls(port1);
    this.#localPort = port2;
    this.rings = Array.from({ length: arena.plan.shape.rings }, (_, ring) => new ClaimRing(arena, ring));
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => {});
  }

  /**
   * Starts the threads, of a pipeline the one with the sockets last, so that the others are ready for the first claim. Lanes but the first,
   * which binds their address, start side by side, as their warm-up takes time. Rejects with the first failure of a thread,
   * once no thread runs any more.
   */
  static async start(arena: Arena, options: TopologyOptions): Promise<Topology> {
    const topology = new Topology(arena, options);
    try {
      const threads = [...rolesOf(options.plan).entries()];
      const sideBySide = options.plan.layout === 'lanes' ? threads.splice(1) : [];
      for (const [thread, role] of threads) await topology.#spawn(role, thread);
      await Promise.all(sideBySide.map(([thread, role]) => topology.#spawn(role, thread)));
      if (topology.#failure !== undefined) throw topology.#failure;
    } catch (error) {
      await topology.terminate();
      throw error;
    }
    topology.#hasStarted = true;
    return topology;
  }

  /** Why the threads have ended, where they were not asked to. */
  get failure(): ClaimwireError | undefined {
    return this.#failure;
  }

  /** The segment of each ring's log: every group of older ones is in the channel table. */
  get journalSegments(): number[] {
    return this.rings.map((ring) => ring.journalSegment);
  }

  /** Resolves once no group is open that began before the call, in any lane. Throws NODE_FAILED. */
  async fence(): Promise<void> {
    await awaitFence(this.control, this.rings, () => this.#failure !== undefined || this.#hasEnded);
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
    // The last answers to submitted claims may still be on their way.
    await new Promise(setImmediate);
    this.#end();
  }

  /** Ends the threads where they stand, as kill -9 would; resolves when none runs any more. */
  async terminate(): Promise<void> {
    this.#isTerminated = true;
    this.control.advanceTo(PHASE_STOPPING);
    for (const worker of this.#workers) void worker.terminate();
    await Promise.all(this.#exits);
    this.#end();
  }

  #end(): void {
    this.#hasEnded = true;
    this.local.stop();
    this.control.mainDoorbell.ring();
  }

  async #spawn(role: ThreadRole, thread: number): Promise<void> {
    const ring = role === 'lane' ? thread : 0;
    const isFirst = role === 'net' || (role === 'lane' && ring === 0);
    const { port1, port2 } = new MessageChannel();
    this.#options.onControlPort(port1);
    const webPort = role === 'net' || role === 'lane' ? this.#openWebPort() : undefined;
    const context: ThreadContext = {
      role,
      memory: this.#arena.memory,
      shape: this.#arena.plan.shape,
      ...this.#options.settings,
      ring,
      thread,
      // Instance 0 is the main thread's; in a pipeline the verifiers' counter blocks are numbered from 1 as well.
      kernel: { ...this.#options.kernel, thread: role === 'lane' ? thread + 1 : thread },
      // The first to bind may pick the port, and finds out whether somebody else has it.
      udp: { ...this.udp, isShared: ring > 0 },
      tcp: { ...this.#options.tcp, listen: this.tcp, isShared: ring > 0 },
      controlPort: port2,
      localPort: isFirst ? this.#localPort : undefined,
      webPort,
      ...this.#options.logs[ring],
    };
    const worker = new Worker(new URL('./boot.js', import.meta.url), {
      workerData: context,
      transferList: [port2, ...(isFirst ? [this.#localPort] : []), ...(webPort ? [webPort] : [])],
      name: role,
    });
    this.#workers.push(worker);
    const message = await Promise.race([this.#watch(worker, role), this.#failed]);
    if (message.udp !== undefined) {
      this.udp = message.udp;
      this.tcp = message.tcp;
      this.receiveBufferBytes = message.receiveBufferBytes ?? 0;
    }
  }

  #openWebPort(): MessagePort | undefined {
    const { onWebPort } = this.#options;
    if (onWebPort === undefined) return undefined;
    const { port1, port2 } = new MessageChannel();
    onWebPort(port1);
    return port2;
  }

  /** Resolves when the thread is ready; from the first moment on its failure is the topology's. */
  #watch(worker: Worker, role: ThreadRole): Promise<ThreadReady> {
    let isReady = false;
    worker.on('error', (error) =>
      this.#failBy(isReady ? threadFailed(role, error) : asStartError(role, error, this.#options)),
    );
    this.#exits.push(
      new Promise((resolve) => {
        worker.once('exit', (code) => {
          // Before a stop no thread ends; in one each ends by itself, with code 0.
          if (this.control.phase < PHASE_STOPPING || code !== 0)
            this.#failBy(threadFailed(role, new Error(`expected it to run on, got its end with code ${code}`)));
          resolve();
        });
      }),
    );
    return new Promise((resolve) => {
      worker.once('message', (message: ThreadReady) => {
        isReady = true;
        resolve(message);
      });
    });
  }

  #failBy(failure: ClaimwireError): void {
    if (this.#failure !== undefined || this.#hasEnded || this.#isTerminated) return;
    this.#failure = failure;
    this.#fail(failure);
    this.control.mainDoorbell.ring();
    // The others would wait for its part in a stop for ever, and a verdict without a committer is worth nothing.
    for (const worker of this.#workers) void worker.terminate();
    if (this.#hasStarted) this.#options.onFailure(failure);
  }
}

/** What a shared store says keeps its code, since an operator acts by it. */
function threadFailed(role: ThreadRole, cause: Error): ClaimwireError {
  const { code } = cause as { code?: string };
  const known = ERROR_CODES.find((name) => name === code && name.startsWith('STORE_'));
  return new ClaimwireError(known ?? 'NODE_FAILED', `${role} thread: ${cause.message}`, {}, { cause });
}

/** @param error with `flag` where an address other than UDP's could not be bound */
function asStartError(role: ThreadRole, error: Error, { udp, tcp }: TopologyOptions): ClaimwireError {
  const { code, flag = '--udp' } = error as NodeJS.ErrnoException & { flag?: string };
  if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL') {
    const address = flag === '--tcp' ? (tcp.listen ?? udp) : udp;
    return new ClaimwireError(
      'CONFIG_INVALID',
      `${flag} ${hostPortText(address)}: expected an address that is free to bind, got ${code}; choose another, or port 0`,
    );
  }
  const known = ERROR_CODES.find((name) => name === code);
  if (known === undefined) return threadFailed(role, error);
  return new ClaimwireError(known, `${role} thread: ${error.message}`, {}, { cause: error });
}
