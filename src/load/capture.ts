/**
 * The first datagrams of a run, kept in memory and written as a capture at its end, in raw IPv4 with nanoseconds: the
 * bytes as the socket got them, its own address, and the target. Generator thread.
 */
import { writeFileSync } from 'node:fs';
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import type { HostPort } from '../host-port.ts';
import { type Ipv4Datagram, writePcap } from '../pcap.ts';
import type { Target } from './settings.ts';

export class Capture {
  readonly #claims: Uint8Array;
  readonly #target: Target;
  readonly #datagrams: Ipv4Datagram[] = [];
  #left: number;

  /** @param claims the arena; @param claimsMax how many claims to keep, in whole datagrams */
  constructor(claims: Uint8Array, claimsMax: number, target: Target) {
    this.#claims = claims;
    this.#left = claimsMax;
    this.#target = target;
  }

  /** @param at milliseconds since 1970 */
  add(from: HostPort, slots: Uint32Array, count: number, at: number): void {
    if (count > this.#left) return;
    this.#left -= count;
    const payload = new Uint8Array(count * CLAIM_BYTES);
    for (let index = 0; index < count; index++)
      payload.set(this.#claims.subarray(slots[index]!, slots[index]! + CLAIM_BYTES), index * CLAIM_BYTES);
    this.#datagrams.push({
      seconds: Math.floor(at / 1_000),
      nanoseconds: Math.floor((at % 1_000) * 1e6),
      source: from.host,
      sourcePort: from.port,
      target: this.#target.host,
      targetPort: this.#target.port,
      payload,
    });
  }

  write(file: string): void {
    writeFileSync(file, writePcap(this.#datagrams));
  }
}
