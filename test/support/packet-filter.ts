/**
 * The kernel's part in a packet filter, slowly: runs a program of classic BPF over a datagram as Linux does for a UDP socket,
 * where offsets are from the UDP header, or with a constant added from the IP header.
 */
import { BPF, NETWORK_HEADER, RANDOM } from '../../src/transport/packet-filter.ts';

const SCRATCH_WORDS = 16;
const INSTRUCTIONS_MAX = 4_096;

/** A datagram as a filter sees it. */
export interface FilteredPacket {
  ip: Buffer;
  udp: Buffer;
}

export function v4Packet(source: readonly number[], port: number): FilteredPacket {
  const ip = Buffer.alloc(20);
  ip[0] = 0x45;
  ip.set(source, 12);
  return { ip, udp: udpHeader(port) };
}
export function v6Packet(source: readonly number[], port: number): FilteredPacket {
  const ip = Buffer.alloc(40);
  ip[0] = 0x60;
  ip.set(source, 8);
  return { ip, udp: udpHeader(port) };
}
function udpHeader(port: number): Buffer {
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(port);
  return udp;
}

/** Whether the datagram may enter the receive buffer. Throws for a program that the kernel would refuse. */
export function passes(program: Uint32Array, { ip, udp }: FilteredPacket, random: () => number): boolean {
  const length = program.length / 2;
  if (length === 0 || length > INSTRUCTIONS_MAX) throw new Error(`a program of ${length} instructions`);
  const scratch = new Uint32Array(SCRATCH_WORDS);
  let [a, x, at] = [0, 0, 0];
  const load = (k: number): [Buffer, number] => (k >= NETWORK_HEADER ? [ip, k - NETWORK_HEADER] : [udp, k]);
  for (;;) {
    if (at >= length) throw new Error('a jump behind the end');
    const word = program[2 * at]!;
    const k = program[2 * at + 1]!;
    const branch = (isTrue: boolean) => (isTrue ? (word >>> 16) & 0xff : word >>> 24);
    at++;
    switch (word & 0xffff) {
      case BPF.loadWord: {
        if (k === RANDOM) a = random();
        else {
          const [bytes, offset] = load(k);
          a = bytes.readUInt32BE(offset);
        }
        break;
      }
      case BPF.loadHalf: {
        const [bytes, offset] = load(k);
        a = bytes.readUInt16BE(offset);
        break;
      }
      case BPF.loadByte: {
        const [bytes, offset] = load(k);
        a = bytes.readUInt8(offset);
        break;
      }
      case BPF.loadImmediate:
        a = k;
        break;
      case BPF.loadScratch:
        a = scratch[k]!;
        break;
      case BPF.storeScratch:
        scratch[k] = a;
        break;
      case BPF.multiply:
        a = Math.imul(a, k) >>> 0;
        break;
      case BPF.and:
        a = (a & k) >>> 0;
        break;
      case BPF.xor:
        a = (a ^ k) >>> 0;
        break;
      case BPF.xorX:
        a = (a ^ x) >>> 0;
        break;
      case BPF.shiftRight:
        a >>>= k;
        break;
      case BPF.shiftRightX:
        if (x > 31) throw new Error('a shift of more than a word');
        a >>>= x;
        break;
      case BPF.copyToX:
        x = a;
        break;
      case BPF.jump:
        at += k;
        break;
      case BPF.jumpEqual:
        at += branch(a === k);
        break;
      case BPF.jumpAtLeast:
        at += branch(a >= k);
        break;
      case BPF.jumpIfSet:
        at += branch((a & k) !== 0);
        break;
      case BPF.return:
        return k !== 0;
      default:
        throw new Error(`unknown code ${word & 0xffff}`);
    }
  }
}
