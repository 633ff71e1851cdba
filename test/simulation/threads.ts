/**
 * The threads of a simulated node: the loops that real ones run (src/threads), in events of one queue. Lanes and the net thread
 * run their own loops as they are. A verifier and a committer block in theirs, so here each has a loop that sleeps instead.
 */
import { JournalWriter } from '../../src/journal/writer.ts';
import { StageClock } from '../../src/path/stage-clock.ts';
import { VerifyStep } from '../../src/path/verify-step.ts';
import { PHASE_DRAINED, PHASE_DRAINING } from '../../src/ring/control-words.ts';
import { CommitTurn, runBesideDatabase } from '../../src/threads/committer.ts';
import type { ThreadContext, ThreadReady, ThreadRole } from '../../src/threads/context.ts';
import { passFence } from '../../src/threads/fence.ts';
import { runLane } from '../../src/threads/lane.ts';
import { runNet } from '../../src/threads/net.ts';
import { SHARED_CLAIMS_MAX, ThreadParts, type ThreadSystem } from '../../src/threads/parts.ts';
import type { Sockets } from '../../src/threads/sockets.ts';
import { NoTransport } from '../../src/transport/no-transport.ts';
import { emptyPacket, type Packet, type StreamSink } from '../../src/transport/transport.ts';
import type { VerifyBackend } from '../../src/verify/backend.ts';
import { LeafBackend } from '../../src/verify/leaf-backend.ts';
import { NewestBackend } from '../../src/verify/newest-backend.ts';
import { merkleFrames } from '../../src/verify/tree-hash.ts';
import { newOwner, type Owner } from './scheduler.ts';
import type { World } from './world.ts';

/** Packets of acks that a socket has under way. */
const PACKETS_MAX = 64;

/** A thread's socket: what it receives comes by `deliver`, what it sends goes to `onSend`. */
class SimulatedSocket extends NoTransport {
  #sink: StreamSink | undefined;
  #onActivity: () => void = () => {};
  #packets = PACKETS_MAX;
  readonly #world: World;
  readonly #onSend: (packet: Packet, words: Uint32Array, at: number) => void;

  constructor(world: World, onSend: (packet: Packet, words: Uint32Array, at: number) => void) {
    super();
    this.#world = world;
    this.#onSend = onSend;
  }

  get isReceiving(): boolean {
    return this.#sink !== undefined;
  }

  begin(sink: StreamSink, onActivity: () => void): void {
    this.#sink = sink;
    this.#onActivity = onActivity;
  }

  deliver(bytes: Uint8Array, source: Uint32Array): void {
    this.#onActivity();
    this.#sink!.payload(bytes, new DataView(bytes.buffer, bytes.byteOffset), 0, bytes.length, source);
  }

  override acquire(): Packet | undefined {
    if (this.#packets === 0 || this.#world.strikes('sendQueueFull')) {
      this.#world.happened('network.send-queue-full');
      return undefined;
    }
    this.#packets--;
    return emptyPacket();
  }

  override send(packet: Packet, words: Uint32Array, at: number): void {
    this.#packets++;
    this.#onSend(packet, words, at);
  }

  override stopReceiving(): void {
    this.#sink = undefined;
  }
}

/** Reads no processor time, which a world has not. */
class NoStages extends StageClock {
  override start(): void {}
  override lap(): void {}
}

/** A thread's parts over the arena, with verdicts, files and sockets of the world. */
class SimulatedParts extends ThreadParts {
  readonly socket: SimulatedSocket;
  override readonly stages: StageClock;
  readonly #world: World;

  constructor(context: ThreadContext, system: ThreadSystem, world: World, socket: SimulatedSocket) {
    super(context, system);
    this.#world = world;
    this.socket = socket;
    this.stages = new NoStages(this.counters, system.clock);
  }

  override verifyStep(): VerifyStep {
    const { arena, ring, table, measures, settings, context } = this;
    const claimsMax = context.role === 'lane' ? undefined : SHARED_CLAIMS_MAX;
    const backend = this.#world.signatures.backend(arena, ring, table, this.#world.chance.of([1, 4, 64]));
    const chosen = context.verify === 'newest' ? new NewestBackend(backend, arena, ring, table) : backend;
    return new VerifyStep(ring, this.#withLeaves(chosen), claimsMax, measures, settings);
  }

  /** As in verify/select.ts, where the node takes roots. */
  #withLeaves(claims: VerifyBackend): VerifyBackend {
    const { plan, signatures, chance } = this.#world;
    if (!plan.roots) return claims;
    const native = plan.path === 'native' ? merkleFrames() : undefined;
    const judge = signatures.judge(this, chance.random.u32(), native);
    return new LeafBackend(claims, judge, this.arena, this.ring);
  }

  /** No group has more claims than the ring, so segments may be small. */
  override openJournal(): JournalWriter {
    const { system, ring } = this;
    const journal = new JournalWriter({ ...this.context.journal!, ...system, groupClaimsMax: ring.size });
    ring.publishJournalSegment(journal.segment);
    return journal;
  }

  override async openSockets(): Promise<Sockets> {
    const { socket } = this;
    const sockets = {
      transports: [socket],
      bound: {},
      hasTimes: false,
      afterTurn() {},
      startReceiving: (sink: StreamSink, onActivity: () => void) => socket.begin(sink, onActivity),
      stopReceiving: () => socket.stopReceiving(),
      async close() {},
    };
    return sockets as unknown as Sockets;
  }
}

export interface ThreadEnds {
  /** Called when the thread receives, or works. */
  onReady: () => void;
  /** The thread has ended as it was asked to. */
  onEnd: () => void;
  onError: (error: Error) => void;
  onSend: (packet: Packet, words: Uint32Array, at: number) => void;
}

export class SimulatedThread {
  readonly owner: Owner;
  readonly role: ThreadRole;
  readonly socket: SimulatedSocket;
  readonly parts: SimulatedParts;

  constructor(context: ThreadContext, system: ThreadSystem, world: World, ends: ThreadEnds) {
    this.role = context.role;
    this.owner = { ...newOwner(`${context.role} ${context.thread}`), onError: ends.onError };
    this.socket = new SimulatedSocket(world, ends.onSend);
    this.parts = new SimulatedParts(context, system, world, this.socket);
    world.scheduler.after(
      world.chance.fraction(),
      () => {
        LOOPS[this.role](this.parts, ends.onReady).then(ends.onEnd, ends.onError);
      },
      this.owner,
    );
  }
}

type Loop = (parts: ThreadParts, ready: (message: ThreadReady) => void) => Promise<void>;

const LOOPS: Record<ThreadRole, Loop> = { lane: runLane, net: runNet, committer: commitLoop, verifier: verifyLoop };

/** As runVerifier, asleep where that blocks. */
async function verifyLoop(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring } = parts;
  const verify = parts.verifyStep();
  const isOver = () => control.phase >= PHASE_DRAINING && (ring.reserved === ring.received || control.isAbandoned);
  ready({});
  while (!isOver()) {
    if (verify.step() > 0) await new Promise(setImmediate);
    else await ring.verifierDoorbell.sleepAsync(() => ring.reserved !== ring.received || isOver());
  }
}

/** As runCommitter, with the loop that it has for a log that must not be blocked for. */
async function commitLoop(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring } = parts;
  const journal = await parts.openLog();
  const turn = new CommitTurn(parts, journal);
  ready({});
  await runBesideDatabase(parts, turn);
  passFence(parts);
  journal.close();
  control.advanceTo(PHASE_DRAINED);
  ring.ringAll();
}
