/**
 * The cost of a node without signatures and disk, which bench:ring and the report measure: datagrams → receive step → ring → verifier thread (a
 * stub that only reads the claim) → commit thread (journal written, never synced) → ack ring → packets.
 *
 * The production loops of src/threads run in their own threads; this main thread is the net side. The peer in the same
 * run is the ring alone, driven by one thread without rules, journal or acks: the limit that the cursors set.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel, Worker } from 'node:worker_threads';
import {
  ACK_BYTES,
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_CHANNEL_ID,
  CLAIM_SEQUENCE,
  CLAIM_SIGNATURE,
  FRAME_CLAIM,
} from '../../protocol/layout.ts';
import { ChannelTable } from '../../src/channel/table.ts';
import { assert } from '../../src/errors.ts';
import { AckSender } from '../../src/path/ack-sender.ts';
import { AckStep } from '../../src/path/ack-step.ts';
import { ReceiveStep } from '../../src/path/receive-step.ts';
import { AckRing } from '../../src/ring/ack-ring.ts';
import { Arena, type ArenaShape } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { ControlWords, PHASE_DRAINING } from '../../src/ring/control-words.ts';
import { Counters, readCounters } from '../../src/ring/counters.ts';
import { SLOT_VERDICT, SOURCE_WORDS, VERDICT_VALID } from '../../src/ring/slot.ts';
import { nodeSystem } from '../../src/system/system.ts';
import type { ThreadContext, ThreadRole } from '../../src/threads/context.ts';
import { NoTransport } from '../../src/transport/no-transport.ts';
import { sourceHead } from '../../src/transport/source.ts';
import type { Packet } from '../../src/transport/transport.ts';

const CHANNELS = 1_000;
const PER_DATAGRAM = 15;
const SHAPE: ArenaShape = {
  kernelBytes: 0,
  rings: 1,
  ringSlots: 8_192,
  ackSlots: 16_384,
  threads: 3,
  channelsMax: 1 << 11,
};
/** Datagrams received before their claims are published, as in one turn of the event loop. */
const DATAGRAMS_PER_TURN = 32;
const FOLDER = join('data', `bench-ring-${process.pid}`);

/** Counts the acks and drops them. */
class CountingTransport extends NoTransport {
  acks = 0;

  override send(packet: Packet): void {
    this.acks += packet.length / ACK_BYTES;
  }
}

/** Datagrams with claims of all channels in turn; `advance` gives each claim the next amount and sequence. */
class Traffic {
  readonly bytes = new Uint8Array(PER_DATAGRAM * CLAIM_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  #claims = 0;

  advance(): void {
    for (let index = 0; index < PER_DATAGRAM; index++) {
      const offset = index * CLAIM_BYTES;
      const claim = this.#claims++;
      this.view.setUint8(offset, FRAME_CLAIM);
      this.view.setUint32(offset + CLAIM_CHANNEL_ID + 4, (claim % CHANNELS) + 1);
      this.view.setUint32(offset + CLAIM_SEQUENCE, claim);
      this.view.setUint32(offset + CLAIM_AMOUNT + 4, Math.floor(claim / CHANNELS) + 1);
      // Signatures of different claims differ, as the duplicate filter expects.
      this.view.setUint32(offset + CLAIM_SIGNATURE + (claim & 7) * 4, Math.imul(claim, 0x9e3779b1));
    }
  }
}

function openChannels(table: ChannelTable): void {
  for (let id = 1; id <= CHANNELS; id++)
    table.insert({
      channelId: BigInt(id),
      ledgerChannelId: new Uint8Array(32).fill(id & 0xff),
      publicKey: new Uint8Array(33).fill(2),
      capacity: 1n << 56n,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      profile: 'xrpl',
      state: 'open',
      expiresAt: 0,
    });
}

function spawn(arena: Arena, role: ThreadRole, thread: number): { ready: Promise<unknown>; exit: Promise<unknown> } {
  const { port2 } = new MessageChannel();
  const context: ThreadContext = {
    role,
    memory: arena.memory,
    shape: SHAPE,
    ring: 0,
    thread,
    backend: 'noble',
    verify: 'every',
    durability: 'sync',
    sockets: 'dgram',
    path: 'portable',
    kernel: { cacheBytes: 0, threads: 0, thread: 0 },
    idle: { spins: 0, sleepMsMax: 1_000 },
    // The net side, which is this thread, measures nothing: threads that did would wait for times that never come.
    measuring: false,
    udp: { host: '', port: 0, isShared: false },
    tcp: { listen: undefined, isShared: false, tls: undefined, limits: {} },
    controlPort: port2,
    journal: { directory: FOLDER, segmentBytes: 64 * 2 ** 20, journalId: new Uint8Array(16), segment: 1, group: 1 },
  };
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: context,
    transferList: [port2],
  });
  return {
    ready: new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
    exit: new Promise((resolve) => worker.once('exit', resolve)),
  };
}

/** Claims per second through the whole path, after a warm-up. */
export async function measurePath(seconds: number, note: (line: string) => void): Promise<number> {
  rmSync(FOLDER, { recursive: true, force: true });
  const arena = Arena.create(SHAPE);
  const table = new ChannelTable(arena);
  openChannels(table);
  const ring = new ClaimRing(arena, 0);
  const control = new ControlWords(arena);
  const counters = new Counters(arena, 2);
  const transport = new CountingTransport();
  const sender = new AckSender([transport], counters, nodeSystem.random);
  const receive = new ReceiveStep(arena, ring, table, sender, counters, nodeSystem.random);
  const acks = new AckStep(arena, new AckRing(arena, 0), sender);
  const threads = [spawn(arena, 'committer', 0), spawn(arena, 'verifier', 1)];
  await Promise.all(threads.map((thread) => thread.ready));

  const traffic = new Traffic();
  const source = new Uint32Array(SOURCE_WORDS);
  source[0] = sourceHead(0, 9);
  const turnClaims = DATAGRAMS_PER_TURN * PER_DATAGRAM;
  const hasRoom = () => ring.size - ((ring.next - ring.committed) >>> 0) >= turnClaims;
  let sent = 0;
  const runUntil = (end: number) => {
    for (let now = Date.now(); now < end; now = Date.now()) {
      receive.now = now;
      if (hasRoom()) {
        for (let datagram = 0; datagram < DATAGRAMS_PER_TURN; datagram++) {
          traffic.advance();
          receive.payload(traffic.bytes, traffic.view, 0, traffic.bytes.length, source);
        }
        sent += turnClaims;
      } else {
        ring.netDoorbell.sleep(hasRoom, 100);
      }
      receive.step(now);
      acks.step(now);
    }
  };
  runUntil(Date.now() + 500);
  const before = { sent, at: performance.now() };
  runUntil(Date.now() + seconds * 1_000);
  while (ring.depth > 0) ring.netDoorbell.sleep(() => ring.depth === 0, 100);
  const rate = (sent - before.sent) / ((performance.now() - before.at) / 1_000);
  acks.step(Date.now());
  control.advanceTo(PHASE_DRAINING);
  ring.ringAll();
  await Promise.all(threads.map((thread) => thread.exit));
  prove(arena, table, sent, transport.acks, note);
  rmSync(FOLDER, { recursive: true, force: true });
  return rate;
}

/** Checks that every claim sent was verified and committed once, and that the balances add up. */
function prove(arena: Arena, table: ChannelTable, sent: number, acks: number, note: (line: string) => void): void {
  const { verified, committed, groupCommits } = readCounters(arena);
  let sum = 0n;
  for (let row = 0; row < CHANNELS; row++) sum += table.read(row).committed;
  assert(verified === sent && committed === sent, `verified ${verified}, committed ${committed} of ${sent} claims`);
  // Amounts count a channel's claims, so the balances add up to the claims sent.
  assert(sum === BigInt(sent), `balances add up to ${sum}, expected ${sent}`);
  note(
    `checksum: ${sent} claims sent = verified = committed, balances ${sum}, ${acks} acks for ${groupCommits} groups, none synced`,
  );
}

/** The ring alone, in one thread: fills, publishes, reserves, judges and frees slots. */
export function measureRing(seconds: number): number {
  const arena = Arena.create(SHAPE);
  const ring = new ClaimRing(arena, 0);
  const bytes = new Uint8Array(CLAIM_BYTES).fill(1);
  let claims = 0;
  const start = performance.now();
  while (performance.now() - start < seconds * 1_000) {
    for (let index = 0; index < 128; index++) {
      arena.bytes.set(bytes, ring.tryNext());
      ring.push();
    }
    ring.publish();
    const count = ring.reserve(128);
    for (let index = 0; index < count; index++)
      Atomics.store(arena.ints, (ring.slot(ring.first + index) + SLOT_VERDICT) >>> 2, VERDICT_VALID);
    ring.release((ring.first + count) >>> 0);
    claims += count;
  }
  return claims / ((performance.now() - start) / 1_000);
}
