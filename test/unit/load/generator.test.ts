/** The generator's turns in this thread, over a link that is full at random: every claim leaves once, as it was made. */
import { expect, test } from 'vitest';
import { STATUS, writeAckOf } from '../../../protocol/index.ts';
import { ACK_BYTES, CLAIM_AMOUNT, CLAIM_CHANNEL_ID, CLAIM_SEQUENCE } from '../../../protocol/layout.ts';
import { LoadChannels } from '../../../src/load/channels.ts';
import type { Departures } from '../../../src/load/departures.ts';
import { Generator } from '../../../src/load/generator.ts';
import type { LoadLink } from '../../../src/load/links/link.ts';
import { Random } from '../../../src/load/random.ts';
import type { LoadSettings } from '../../../src/load/settings.ts';
import type { LoadSigner } from '../../../src/load/signer.ts';
import { ChannelPicker } from '../../../src/load/skew.ts';
import { SignedSource } from '../../../src/load/source.ts';
import type { TransportSink } from '../../../src/transport/transport.ts';

const CHANNELS = 10;
const SOCKETS = 3;
const SETTINGS: LoadSettings = {
  target: { protocol: 'udp', host: '127.0.0.1', port: 1 },
  sender: 'dgram',
  seed: 1,
  channels: CHANNELS,
  keys: 1,
  rates: [null],
  durationMs: 150,
  warmupMs: 0,
  drainMs: 2_000,
  perDatagram: 4,
  arrivals: { kind: 'constant' },
  zipf: 0,
  sockets: SOCKETS,
  window: 50,
  inflightMax: 1 << 16,
  faults: { drop: 0, dup: 0, reorder: 0, corruptSignature: 0, stale: 0 },
  corpus: undefined,
  capture: undefined,
};
/** Signatures play no part here. */
const SIGNER: LoadSigner = { name: 'native', batchMax: 16, sign() {} };

interface Left {
  socket: number;
  channel: number;
  amount: number;
  sequence: number;
}

/** Refuses a third of what it is given; keeps another third until a later flush; answers what it let go. */
class FullLink implements LoadLink {
  readonly name = 'dgram';
  readonly failures = 0;
  readonly lastFailure = undefined;
  readonly drops = 0;
  readonly left: Left[] = [];
  sink!: TransportSink;
  readonly #channels: LoadChannels;
  readonly #random = new Random(9, 'full link');
  #kept: DataView[] = [];

  constructor(channels: LoadChannels) {
    this.#channels = channels;
  }

  local(): { host: string; port: number } {
    return { host: '127.0.0.1', port: 2 };
  }
  send(socket: number, slots: Uint32Array, count: number): boolean {
    if (this.#random.below(3) === 0) return false;
    const { arena, table } = this.#channels;
    for (const slot of slots.subarray(0, count)) {
      const claim = new DataView(arena.bytes.slice(slot, slot + 93).buffer);
      const channel = table.find(claim.getUint32(CLAIM_CHANNEL_ID), claim.getUint32(CLAIM_CHANNEL_ID + 4));
      const amount = Number(claim.getBigUint64(CLAIM_AMOUNT));
      this.left.push({ socket, channel, amount, sequence: claim.getUint32(CLAIM_SEQUENCE) });
      this.#kept.push(claim);
    }
    return true;
  }
  departure(): number {
    return -1;
  }
  flush(): void {
    if (this.#random.below(3) === 0) return;
    const acks = new Uint8Array(this.#kept.length * ACK_BYTES);
    const view = new DataView(acks.buffer);
    this.#kept.forEach((claim, index) => {
      const [high, low] = [claim.getUint32(CLAIM_AMOUNT), claim.getUint32(CLAIM_AMOUNT + 4)];
      writeAckOf(view, index * ACK_BYTES, STATUS.COMMITTED, high, low, claim, 0);
    });
    this.#kept = [];
    if (acks.length > 0) this.sink.payload(acks, view, 0, acks.length, new Uint32Array(5));
  }
  receive(): void {}
  wait(): void {}
  async close(): Promise<void> {}
}

/** Leaves at each flush, and is answered at once: the call that sent was 1,000 ms ago, and the ack waited for 400 ms. */
class TimedLink extends FullLink {
  departures!: Departures;
  #departure = -1;

  override send(socket: number, slots: Uint32Array, count: number): boolean {
    this.#departure = this.departures.prepare();
    this.departures.leave(this.#departure, performance.now() - 1_000);
    return super.send(socket, slots, count);
  }
  override departure(): number {
    return this.#departure;
  }
  override flush(): void {
    this.sink.read?.();
    this.sink.waited?.(400_000);
    super.flush();
  }
}

function generatorFor(
  settings: LoadSettings,
  Link: typeof FullLink = FullLink,
): { generator: Generator; link: FullLink; channels: LoadChannels } {
  const channels = LoadChannels.derive(settings.seed, CHANNELS, 1);
  const picker = new ChannelPicker(CHANNELS, SOCKETS, 0, new Random(1, 'channels'));
  const source = new SignedSource(channels, picker, SIGNER, new Random(1, 'stale'), settings.perDatagram);
  const control = new Int32Array(new SharedArrayBuffer(4));
  const parts = { settings, channels, source, replay: undefined, capture: undefined, control, onInterval() {} };
  const generator = new Generator(parts);
  const link = new Link(channels);
  if (link instanceof TimedLink) link.departures = generator.departures;
  link.sink = generator.sink;
  generator.attach(link);
  return { generator, link, channels };
}

test.each([null, 3_000])('rate %s: each claim leaves once, in order, by its own socket', async (rate) => {
  // Long enough for a hundred claims from a machine that does something else most of the time.
  const { generator, link, channels } = generatorFor({ ...SETTINGS, durationMs: 600, rates: [rate] });
  const step = await generator.step(rate);
  expect(step.sent).toBeGreaterThan(100);
  expect(step).toMatchObject({ acked: step.sent, unanswered: 0, strayAcks: 0 });
  expect(link.left.length).toBe(step.sent);
  expect(generator.totals.sent).toBe(step.sent);
  expect(link.left.map(({ sequence }) => sequence)).toEqual(link.left.map((_, index) => index));
  for (let channel = 0; channel < CHANNELS; channel++) {
    const own = link.left.filter((claim) => claim.channel === channel);
    expect(own.map(({ amount }) => amount)).toEqual(own.map((_, index) => index + 1));
    expect(new Set(own.map(({ socket }) => socket))).toEqual(new Set([channel % SOCKETS]));
    expect(channels.acknowledged(channel)).toBe(own.length);
  }
});

test.each([
  [1_000, [1]],
  [1_300, [1, 1.3]],
])('a step of %i ms has an interval for every second, and one for what is left', async (durationMs, ends) => {
  const { generator } = generatorFor({ ...SETTINGS, rates: [500], durationMs });
  const { intervals, sent, seconds } = await generator.step(500);
  expect(intervals.map(({ atSeconds }) => Number(atSeconds.toFixed(6)))).toEqual(ends);
  expect(seconds).toBeCloseTo(durationMs / 1_000, 6);
  let before = 0;
  let counted = 0;
  for (const { atSeconds, sentPerSecond } of intervals) {
    counted += sentPerSecond * (atSeconds - before);
    before = atSeconds;
  }
  expect(Math.round(counted)).toBe(sent);
});

test('reordered and doubled claims: each amount leaves, doubled ones twice, reordered ones after their next', async () => {
  const faults = { ...SETTINGS.faults, dup: 0.2, reorder: 0.2 };
  const { generator, link } = generatorFor({ ...SETTINGS, faults });
  const step = await generator.step(null);
  const { duplicated, reordered } = step.faults;
  expect(duplicated).toBeGreaterThan(10);
  expect(reordered).toBeGreaterThan(10);
  expect(link.left.length).toBe(step.sent + duplicated);
  expect(new Set(link.left.map(({ sequence }) => sequence)).size).toBe(step.sent);
  let behind = 0;
  const highest = new Map<number, number>();
  for (const { channel, amount } of link.left) {
    if (amount < (highest.get(channel) ?? 0)) behind += 1;
    else highest.set(channel, amount);
  }
  // The last ones held back may have had no next.
  expect(behind).toBeGreaterThanOrEqual(reordered - CHANNELS);
  expect(step.unanswered).toBe(0);
});

test('wire to wire: from the call that sent a claim, whichever of a batch it left with, until the system had its ack', async () => {
  const faults = { ...SETTINGS.faults, dup: 0.2 };
  const { wire, acked, latency } = await generatorFor({ ...SETTINGS, faults }, TimedLink).generator.step(null);
  expect(acked).toBeGreaterThan(50);
  expect(wire?.count).toBe(acked);
  expect(wire!.minMs).toBeGreaterThan(598);
  expect(wire!.maxMs).toBeLessThan(600 + latency.maxMs + 5);
  const { generator } = generatorFor(SETTINGS);
  expect((await generator.step(null)).wire).toBeNull();
});
