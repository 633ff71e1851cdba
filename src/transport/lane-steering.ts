/**
 * The program by which the system gives each payer's datagrams to one of the lanes that share the address: by the payer's port.
 *
 * Without it a hash chooses: of 16 sockets 11 or more meet in one of two lanes in one case of five, which then has twice the other's
 * claims. With it sockets on consecutive ports are spread evenly, and a payer of many channels, or a gateway, can count on that. Ports
 * that systems pick are as good as a hash. Who floods one lane could do so before, from one port.
 *
 * Classic BPF, SO_ATTACH_REUSEPORT_CBPF (man 7 socket): needs no rights, and says the socket's place among those that share the address.
 */
import { BPF, NETWORK_HEADER } from './packet-filter.ts';

/** Codes of linux/bpf_common.h that packet-filter.ts has no use for. */
const LOAD_HALF_AT_X = 0x48;
const SHIFT_LEFT = 0x64;
const MODULO = 0x94;
const RETURN_A = 0x16;
const V6_HEADER_BYTES = 40;

/** Two words for each instruction. The network header's length is its own field in IPv4; in IPv6 it has no other headers behind it here. */
export function laneSteering(lanes: number): Uint32Array {
  return Uint32Array.from(
    [
      [BPF.loadByte, NETWORK_HEADER],
      [BPF.storeScratch, 0],
      [BPF.shiftRight, 4],
      [jump(BPF.jumpEqual, 6, 0), 6],
      [BPF.loadScratch, 0],
      [BPF.and, 15],
      [SHIFT_LEFT, 2],
      [BPF.copyToX, 0],
      [LOAD_HALF_AT_X, NETWORK_HEADER],
      [BPF.jump, 1],
      [BPF.loadHalf, NETWORK_HEADER + V6_HEADER_BYTES],
      [MODULO, lanes],
      [RETURN_A, 0],
    ].flat(),
  );
}

/** The code of a jump over so many instructions. */
function jump(code: number, ifTrue: number, ifFalse: number): number {
  return (code | (ifTrue << 16) | (ifFalse << 24)) >>> 0;
}
