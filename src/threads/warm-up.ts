/**
 * Before a lane is ready, one like it is paid over the loopback for some tenths of a second, so that the engine has compiled
 * the steps, and the turns around them, when the first claim comes. Without it the first thousands of claims meet code that is
 * not compiled yet, and the engine's compilers, which are threads too, take cores that claims wait for.
 *
 * Parts and steps are the lane's own classes, since the engine compiles for the shapes of objects that it has seen. But the arena is
 * another one, the journal goes nowhere, and signatures are taken as valid: the kernel is compiled already.
 */
import { MessageChannel } from 'node:worker_threads';
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_CHANNEL_ID, CLAIM_SIGNATURE, FRAME_CLAIM } from '../../protocol/layout.ts';
import { RootedRows } from '../channel/rooted.ts';
import { assert } from '../errors.ts';
import { GROUP_CLAIMS_MAX } from '../path/commit-group.ts';
import { VerifyStep } from '../path/verify-step.ts';
import { Arena } from '../ring/arena.ts';
import { SLOT_VERDICT, SOURCE_WORDS, VERDICT_VALID } from '../ring/slot.ts';
import type { JournalFiles } from '../system/files.ts';
import { SourceCodec, sourceHead } from '../transport/source.ts';
import { TRANSPORT_UDP, type Transport } from '../transport/transport.ts';
import type { VerifyBackend } from '../verify/backend.ts';
import { trialChannel } from '../verify/self-test.ts';
import { LaneTurn } from './lane.ts';
import { ThreadParts } from './parts.ts';
import { TurnLoop } from './turn-loop.ts';

const SHAPE = { ringSlots: 1_024, ackSlots: 16, channelsMax: 128, kernelBytes: 0, rings: 1, threads: 1 };
const LOOPBACK = { host: '127.0.0.1', port: 0 };
const CHANNELS = 64;
const CLAIMS_PER_DATAGRAM = 15;
const DATAGRAMS_PER_TURN = 16;
/** In all some 70,000 claims, a tenth of a second: the hot functions are compiled after a few thousand calls. */
const FULL_TURNS = 300;
/** Turns with one claim, as a quiet node has them: what runs once a turn is compiled after some thousand calls. */
const SINGLE_TURNS = 4_000;

/** Milliseconds. Where cores are taken, what was not compiled by then is compiled later. */
const REHEARSAL_MS_MAX = 500;

/** Takes about 300 ms. CLAIMWIRE_WARM_UP=off skips it, for tests that start many nodes and measure no latency. */
export async function warmUp(parts: ThreadParts): Promise<void> {
  if (process.env.CLAIMWIRE_WARM_UP === 'off') return;
  // The loops in TypeScript are warmed even where C is used: they still handle claims that are not plain.
  const isNative = parts.context.path === 'native';
  if (isNative) await rehearse(parts, 'portable', 0);
  await rehearse(parts, parts.context.path, SINGLE_TURNS);
}

async function rehearse({ context, system }: ThreadParts, path: 'native' | 'portable', singles: number): Promise<void> {
  const arena = Arena.create({ ...SHAPE, hasFrames: context.shape.hasFrames === true });
  const channels = [new MessageChannel(), new MessageChannel(), new MessageChannel()] as const;
  const rehearsal = new ThreadParts(
    {
      ...context,
      path,
      memory: arena.memory,
      shape: arena.plan.shape,
      ring: 0,
      thread: 0,
      udp: { ...LOOPBACK, isShared: false },
      tcp: { ...context.tcp, listen: LOOPBACK, isShared: false, tls: undefined },
      controlPort: channels[0].port1,
      localPort: context.localPort && channels[1].port1,
      webPort: context.webPort && channels[2].port1,
      rooted: context.rooted && { ...context.rooted, memory: RootedRows.memoryFor({ capacity: SHAPE.channelsMax }) },
      journal: JOURNAL,
      database: undefined,
    },
    { ...system, files: new NoFiles() },
  );
  const { ring, table } = rehearsal;
  for (let id = 1; id <= CHANNELS; id++) table.insert(trialChannel(new Uint8Array(32).fill(id, 7, 8), KEY));
  // A machine without a loopback has no warm-up.
  const sockets = await rehearsal.openSockets().catch(() => undefined);
  if (sockets === undefined) return;
  const journal = rehearsal.openJournal();
  const verify = new VerifyStep(ring, new Trusting(rehearsal), undefined, rehearsal.measures, rehearsal.settings);
  const lane = new LaneTurn(rehearsal, sockets, () => loop.schedule(), journal, verify);
  const loop = new TurnLoop(rehearsal, lane);
  sockets.startReceiving(lane.receive, loop.schedule);
  const traffic = new Traffic(sockets.transports[TRANSPORT_UDP]!);
  const until = system.clock.monotonic() + REHEARSAL_MS_MAX;
  const isOver = () => system.clock.monotonic() > until;
  let turn = 0;
  do {
    loop.schedule();
    for (let datagram = 0; datagram < DATAGRAMS_PER_TURN; datagram++) {
      traffic.fill(CLAIMS_PER_DATAGRAM);
      lane.receive.payload(traffic.bytes, traffic.view, 0, traffic.bytes.length, traffic.source);
    }
    await eventLoop();
  } while (++turn < FULL_TURNS && !isOver());
  for (turn = 0; turn < singles && !isOver(); turn++) {
    traffic.send();
    await eventLoop();
  }
  sockets.stopReceiving();
  while (lane.isBusy) await eventLoop();
  loop.end();
  assert(ring.depth === 0 && journal.bytesWritten > 0, 'the warm-up went through every step');
  journal.close();
  await sockets.close();
  for (const { port2 } of channels) port2.close();
}

/** Once round the event loop. */
function eventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Takes every signature as valid. */
class Trusting implements VerifyBackend {
  readonly name = 'native';
  readonly batchMax = GROUP_CLAIMS_MAX;
  readonly #parts: ThreadParts;

  constructor(parts: ThreadParts) {
    this.#parts = parts;
  }

  verifySlots(first: number, count: number): void {
    const { arena, ring } = this.#parts;
    for (let index = 0; index < count; index++)
      Atomics.store(arena.ints, (ring.slot(first + index) + SLOT_VERDICT) >>> 2, VERDICT_VALID);
  }
}

/** Claims on one channel after the other, with rising amounts, from the socket that receives them. */
class Traffic {
  readonly bytes = new Uint8Array(CLAIMS_PER_DATAGRAM * CLAIM_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  readonly source = new Uint32Array(SOURCE_WORDS);
  readonly #socket: Transport;
  #claim = 0;

  constructor(socket: Transport) {
    this.#socket = socket;
    new SourceCodec().parse(socket.address.host, this.source);
    this.source[0] = sourceHead(TRANSPORT_UDP, socket.address.port);
  }

  /** The next claims, back to back in `bytes`. */
  fill(count: number): void {
    for (let offset = 0; offset < count * CLAIM_BYTES; offset += CLAIM_BYTES) {
      const claim = this.#claim++;
      this.bytes[offset] = FRAME_CLAIM;
      this.view.setUint32(offset + CLAIM_CHANNEL_ID + 4, (claim % CHANNELS) + 1);
      this.view.setUint32(offset + CLAIM_AMOUNT + 4, claim + 1);
      // The claims are spread over the filter's cells, whichever bytes of the signature it uses.
      for (let byte = 0; byte < 64; byte += 4)
        this.view.setUint32(offset + CLAIM_SIGNATURE + byte, Math.imul(claim + byte, 0x9e3779b1));
    }
  }

  /** Sends the next claim to the socket itself. */
  send(): void {
    const packet = this.#socket.acquire();
    if (packet === undefined) return;
    this.fill(1);
    packet.bytes.set(this.bytes.subarray(0, CLAIM_BYTES));
    packet.length = CLAIM_BYTES;
    this.#socket.send(packet, this.source, 0);
    this.#socket.flush();
  }
}

const JOURNAL = {
  directory: 'nowhere',
  segmentBytes: 64 * 2 ** 20,
  journalId: new Uint8Array(16),
  segment: 1,
  group: 1,
  groupClaimsMax: GROUP_CLAIMS_MAX,
};

const KEY = new Uint8Array(33).fill(2);

/** A disk that keeps only the first sectors of one segment, which the journal's writer reads when it opens it. */
class NoFiles implements JournalFiles {
  readonly #head = new Uint8Array(1_024);
  #size = 0;
  #isLinked = false;

  openSync(path: string, flags: string): number {
    if (flags === 'r+' && path.endsWith('.seg') && !this.#isLinked)
      throw Object.assign(new Error(path), { code: 'ENOENT' });
    return 0;
  }
  closeSync(): void {}
  fstatSync(): { size: number } {
    return { size: this.#size };
  }
  readSync(_fd: number, buffer: Uint8Array, offset: number, length: number): number {
    buffer.set(this.#head.subarray(0, length), offset);
    return length;
  }
  writeSync(_fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    // Kept only while the segment is made: the groups are not.
    if (!this.#isLinked && position < this.#head.length)
      this.#head.set(buffer.subarray(offset, offset + Math.min(length, this.#head.length - position)), position);
    this.#size = Math.max(this.#size, position + length);
    return length;
  }
  fdatasyncSync(): void {}
  fdatasync(_fd: number, done: (error: Error | null) => void): void {
    done(null);
  }
  fsyncSync(): void {}
  linkSync(): void {
    this.#isLinked = true;
  }
  unlinkSync(): void {}
  mkdirSync(): undefined {}
  readdirSync(): string[] {
    return [];
  }
}
