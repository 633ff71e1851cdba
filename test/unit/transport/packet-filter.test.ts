/** Which datagrams a flood's filter lets pass: by the slow twin of the kernel, by what the plan says, and by the kernel itself. */
import { createSocket, type Socket } from 'node:dgram';
import { afterEach, describe, expect, test } from 'vitest';
import { SOURCE_WORDS } from '../../../src/ring/slot.ts';
import { type FilterPlan, filterProgram, type HeldBack } from '../../../src/transport/packet-filter.ts';
import { networkHash, sourceHash } from '../../../src/transport/source-hash.ts';
import { NativeUdp, nativeUdpFault } from '../../../src/transport/udp-native.ts';
import { passes, v4Packet, v6Packet } from '../../support/packet-filter.ts';
import { type Random, random as seeded } from '../../support/random.ts';
import { sourceOf } from '../../support/rig.ts';

const BITS = 12;
const PLACES = 2 ** BITS / 32;

interface Peer {
  packet: ReturnType<typeof v4Packet>;
  words: Uint32Array;
}
function peer(random: Random): Peer {
  const port = random.below(0x1_0000);
  const isV4 = random.below(2) === 0;
  const bytes = Array.from({ length: isV4 ? 4 : 16 }, () => random.below(256));
  const groups = Array.from({ length: 8 }, (_, group) =>
    ((bytes[2 * group]! << 8) | bytes[2 * group + 1]!).toString(16),
  );
  return isV4
    ? { packet: v4Packet(bytes, port), words: sourceOf(bytes.join('.'), port) }
    : { packet: v6Packet(bytes, port), words: sourceOf(groups.join(':'), port) };
}

function planOf(peers: readonly Peer[], others: Partial<FilterPlan> = {}): FilterPlan {
  const standing = new Uint32Array(peers.length * SOURCE_WORDS);
  for (const [index, { words }] of peers.entries()) standing.set(words, index * SOURCE_WORDS);
  const held = () => ({ seed: 9, places: new Uint32Array(PLACES), share: 0 });
  return { seed: 77, standing, count: peers.length, sources: held(), networks: held(), strangersShare: 0, ...others };
}
function hold({ places, seed }: HeldBack, hash: typeof sourceHash, { words }: Pick<Peer, 'words'>): void {
  const place = hash(seed, words, 0) >>> (32 - BITS);
  places[place >>> 5]! |= 1 << (place & 31);
}
/** Of a plan whose program fits. */
const programOf = (plan: FilterPlan) => filterProgram(plan)!;
const SMALLEST = () => 0;
const at = (share: number) => () => Math.floor(share * 2 ** 32);

describe.each([1, 300, 8_192])('of %i sources', (count) => {
  const random = seeded(count);
  const known = Array.from({ length: count }, () => peer(random));
  const strangers = Array.from({ length: 1_000 }, () => peer(random));

  test('each that stands passes, and of others those that share its place', () => {
    const plan = planOf(known);
    const program = programOf(plan);
    const passed = (peers: readonly Peer[]) => peers.filter(({ packet }) => passes(program, packet, SMALLEST));
    expect(passed(known)).toEqual(known);
    const placeOf = ({ words }: Peer) => sourceHash(plan.seed, words, 0) >>> (32 - (count <= 256 ? 12 : 15));
    const places = new Set(known.map(placeOf));
    const met = strangers.filter((stranger) => places.has(placeOf(stranger)));
    expect(passed(strangers)).toEqual(met);
    expect(met.length).toBeLessThan(strangers.length / 4);
  });
});

test('strangers pass by chance: of a held network by a smaller one, and of a held source by the smallest', () => {
  const random = seeded(5);
  const [source, neighbour, networked, other] = Array.from({ length: 4 }, () => peer(random)) as [
    Peer,
    Peer,
    Peer,
    Peer,
  ];
  const known = Array.from({ length: 100 }, () => peer(random));
  const plan = planOf(known, { strangersShare: 0.5 });
  Object.assign(plan.sources, { share: 0.125 });
  Object.assign(plan.networks, { share: 0.25 });
  for (const held of [source, neighbour]) hold(plan.sources, sourceHash, held);
  for (const held of [source, networked]) hold(plan.networks, networkHash, held);
  const program = programOf(plan);
  const between = (peer: Peer, share: number) =>
    [share - 0.001, share + 0.001].map((chance) => passes(program, peer.packet, at(chance)));
  for (const [peer, share] of [
    [source, 0.125],
    [neighbour, 0.125],
    [networked, 0.25],
    [other, 0.5],
  ] as const)
    expect(between(peer, share)).toEqual([true, false]);
  for (const { packet } of known) expect(passes(program, packet, at(0.999))).toBe(true);
});

test('IPv4 is held back by /24 and IPv6 by /48', () => {
  const v6 = [0x20, 1, 0xd, 0xb8, 0, 7];
  const plan = planOf([], { strangersShare: 1 });
  hold(plan.networks, networkHash, { words: sourceOf('203.0.113.9', 1) });
  hold(plan.networks, networkHash, { words: sourceOf('2001:db8:7::1', 1) });
  const program = programOf(plan);
  const packets = [
    [v4Packet([203, 0, 113, 200], 77), false],
    [v4Packet([203, 0, 112, 9], 1), true],
    [v6Packet([...v6, 0xff, ...new Array(9).fill(3)], 9), false],
    [v6Packet([0x20, 1, 0xd, 0xb8, 0, 8, ...new Array(10).fill(0)], 1), true],
  ] as const;
  for (const [packet, isFree] of packets) expect(passes(program, packet, SMALLEST)).toBe(isFree);
});

test('a program that is too long is none; a small one always fits', () => {
  const random = seeded(8);
  const known = Array.from({ length: 8_192 }, () => peer(random));
  const plan = planOf(known);
  for (const { places } of [plan.sources, plan.networks]) places.fill(0x5555_5555);
  const full = filterProgram(plan);
  expect(full === undefined || full.length <= 2 * 4_096).toBe(true);
  expect(programOf({ ...plan, isSmall: true }).length).toBeLessThan(2 * 1_400);
  expect(passes(programOf({ ...plan, isSmall: true }), known[9]!.packet, SMALLEST)).toBe(true);
});

describe.skipIf(nativeUdpFault() !== undefined)('the kernel', () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) socket.close();
  });

  async function payer(address: string): Promise<{ socket: Socket; words: Uint32Array }> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    await new Promise<void>((resolve) => socket.bind(0, address, resolve));
    open.push(socket);
    return { socket, words: sourceOf(address, socket.address().port) };
  }
  function send({ socket }: { socket: Socket }, port: number, host: string): Promise<void> {
    return new Promise((resolve) => socket.send(Buffer.from('a claim'), port, host, () => resolve()));
  }
  /** The ports that datagrams came from. */
  function received(udp: NativeUdp): number[] {
    const ports: number[] = [];
    const count = udp.receive(64);
    const sink = {
      payload: (...[, , , , source]: [Uint8Array, DataView, number, number, Uint32Array]) =>
        ports.push(source[0]! >>> 16),
    };
    for (let index = 0; index < count; index++) udp.handOver(index, sink as never);
    return ports;
  }

  test.each([
    ['127.0.0.1', ['127.0.0.1', '127.0.1.9', '127.200.3.4']],
    ['::', ['127.0.0.1', '::1', '127.9.9.9', '::1']],
  ])('at %s does what the twin does', async (host, addresses) => {
    const udp = await NativeUdp.open({ local: { host, port: 0 }, sendingBytes: 0, packetsMax: 0 });
    open.push(udp);
    const { port } = udp.address;
    const payers = await Promise.all([...addresses, ...addresses].map(payer));
    const target = (at: { words: Uint32Array }) => (at.words[3] === 0xffff_0000 ? '127.0.0.1' : '::1');
    const known = payers.filter((_, index) => index % 2 === 0);
    for (const isSmall of [true, false]) {
      // Ports are the system's: a seed with which no stranger shares a place with a payer.
      const placeOf = (seed: number, words: Uint32Array) => sourceHash(seed, words, 0) >>> (32 - BITS);
      let seed = 77;
      while (new Set(payers.map(({ words }) => placeOf(seed, words))).size < payers.length) seed++;
      const plan = planOf(known as never, { isSmall, seed });
      expect(udp.filter(programOf(plan))).toBe(true);
      const before = udp.drops;
      for (const each of payers) await send(each, port, target(each));
      expect(received(udp).sort()).toEqual(known.map(({ socket }) => socket.address().port).sort());
      expect(udp.drops - before).toBe(payers.length - known.length);
    }
    expect(udp.filter(new Uint32Array(0))).toBe(true);
    for (const each of payers) await send(each, port, target(each));
    expect(received(udp)).toHaveLength(payers.length);
  });

  test('lets by chance what the share says, and refuses what is no program', async () => {
    const udp = await NativeUdp.open({ local: { host: '127.0.0.1', port: 0 }, sendingBytes: 0, packetsMax: 0 });
    open.push(udp);
    const stranger = await payer('127.0.0.1');
    const plan = planOf([], { strangersShare: 0.5 });
    expect(udp.filter(programOf(plan))).toBe(true);
    for (let sent = 0; sent < 60; sent++) await send(stranger, udp.address.port, '127.0.0.1');
    const passed = received(udp).length;
    expect(passed).toBeGreaterThan(10);
    expect(passed).toBeLessThan(50);
    expect(udp.filter(new Uint32Array([0, 0]))).toBe(false);
    expect(udp.filter(new Uint32Array(2 * 5_000))).toBe(false);
  });
});
