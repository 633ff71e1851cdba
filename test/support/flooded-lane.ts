/**
 * A lane under a flood, in one thread and in steered time: a real socket with a real filter in the kernel, the claim path
 * behind it as a rig, payers and flooders with sockets of their own. A round is 5 ms, in which the lane reads only so much.
 */
import { CLAIM_BYTES, CLAIM_SIGNATURE, STATUS } from '../../protocol/layout.ts';
import { FloodFilter } from '../../src/threads/flood-filter.ts';
import { NativeUdp } from '../../src/transport/udp-native.ts';
import { ManualClock } from './manual-clock.ts';
import { claimOf, Rig } from './rig.ts';

const ROUND_MS = 5;
const LATE_ROUNDS = 4n;
const READ_PER_ROUND = 40;
const FLOODED_CHANNELS = { first: 100n, count: 50n };
const CLAIMS_PER_DATAGRAM = 15;
const FORGED = Buffer.concat(
  Array.from({ length: CLAIMS_PER_DATAGRAM }, (_, index) =>
    claimOf({ channelId: FLOODED_CHANNELS.first + BigInt(index), amount: 9n }, false),
  ),
);
/** Room for some datagrams. */
const RECEIVE_BYTES = 1 << 17;

export class FloodedLane {
  readonly clock = new ManualClock();
  readonly rig: Rig;
  readonly flood: FloodFilter;
  readonly payers: Payer[] = [];
  /** Datagrams of all. */
  sent = 0;
  readonly #udp: NativeUdp;
  readonly #open: NativeUdp[] = [];
  #channels = 0n;
  #forged = 0;

  private constructor(udp: NativeUdp, strangers: number) {
    this.#udp = udp;
    this.#open.push(udp);
    this.rig = new Rig({ strangers, channelsMax: 256, random: (count) => Buffer.alloc(count, 7) });
    this.rig.now = this.clock.wall();
    for (let id = 0n; id < FLOODED_CHANNELS.count; id++) this.rig.open({ channelId: FLOODED_CHANNELS.first + id });
    this.flood = new FloodFilter({
      socket: udp,
      standing: strangers === 1 ? undefined : this.rig.standing,
      counters: this.rig.counters,
      random: (count) => Buffer.alloc(count, 3),
      monotonic: () => this.clock.monotonic(),
      nowSeconds: () => Math.floor(this.clock.wall() / 1_000),
      every: (ms, call) => this.clock.every(ms, call),
    });
  }

  static async open(strangers = 0.5): Promise<FloodedLane> {
    const options = { receiveBufferBytes: RECEIVE_BYTES, sendingBytes: 0, packetsMax: 0 };
    return new FloodedLane(await NativeUdp.open({ local: { host: '127.0.0.1', port: 0 }, ...options }), strangers);
  }

  async peer(host: string): Promise<NativeUdp> {
    const local = { host, port: 0 };
    const udp = await NativeUdp.open({ local, peer: this.#udp.address, sendingBytes: 1_500, packetsMax: 0 });
    this.#open.push(udp);
    return udp;
  }

  /** Closes them: their addresses are not seen again. */
  leave(peers: readonly NativeUdp[]): void {
    for (const peer of peers) {
      this.#open.splice(this.#open.indexOf(peer), 1);
      peer.close();
    }
  }

  async payer(host = '127.0.0.1'): Promise<Payer> {
    const channelId = ++this.#channels;
    this.rig.open({ channelId });
    const payer = new Payer(await this.peer(host), channelId);
    this.payers.push(payer);
    return payer;
  }

  /** A datagram of claims that nobody signed, or of bytes that are none. */
  attack(from: NativeUdp, kind: 'signature' | 'junk' = 'signature'): void {
    if (kind === 'junk') from.sending.fill(0xee, 0, FORGED.length);
    else {
      from.sending.set(FORGED);
      // Another signature each time, or it is a copy.
      const view = new DataView(from.sending.buffer);
      for (let at = CLAIM_SIGNATURE; at < FORGED.length; at += CLAIM_BYTES) view.setUint32(at + 8, ++this.#forged);
    }
    this.send(from, FORGED.length);
  }

  send(from: NativeUdp, bytes: number): void {
    this.sent += from.sendSegments(0, bytes, bytes);
  }

  /** Each payer pays one drop more; then the lane reads what it can, and decides it. */
  round(payers: readonly Payer[] = this.payers, reads = READ_PER_ROUND): void {
    for (const payer of payers) {
      payer.socket.sending.set(claimOf({ channelId: payer.channelId, amount: ++payer.amount }));
      this.send(payer.socket, CLAIM_BYTES);
    }
    this.rig.receive.now = this.rig.now;
    this.#udp.receiveInto(this.rig.receive, reads);
    this.rig.turn();
    this.flood.afterTurn();
    for (const { to, status, amount } of this.rig.takeAcks()) {
      const payer = this.payers.find(({ socket }) => to.endsWith(`:${socket.address.port}`));
      if (payer !== undefined && status === STATUS.COMMITTED && amount > payer.acked) payer.acked = amount;
    }
    for (const payer of payers) if (payer.amount - payer.acked > LATE_ROUNDS) payer.late++;
    this.clock.advance(ROUND_MS);
    this.rig.now = this.clock.wall();
  }

  /** Goes on in rounds of nothing. */
  rest(ms: number): void {
    for (let waited = 0; waited < ms; waited += ROUND_MS) this.round([], 64);
  }

  close(): void {
    this.flood.close();
    for (const udp of this.#open) udp.close();
  }
}

export class Payer {
  readonly socket: NativeUdp;
  readonly channelId: bigint;
  amount = 0n;
  acked = 0n;
  /** Rounds after which none of the last 20 ms' claims was acknowledged. */
  late = 0;

  constructor(socket: NativeUdp, channelId: bigint) {
    this.socket = socket;
    this.channelId = channelId;
  }
}
