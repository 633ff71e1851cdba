/** A node in memory that takes Merkle batches and judges every frame by itself, and a signer for it. */
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { type Ack, ackBytes } from '../../protocol/ack.ts';
import { type Claim, decodeClaim } from '../../protocol/claim.ts';
import { walkFrames } from '../../protocol/frames.ts';
import { STATUS } from '../../protocol/layout.ts';
import { rootPreimage } from '../../protocol/merkle.ts';
import { emptyFrameHead, frameLeafAt, frameRoot, readFrameHead } from '../../protocol/merkle-frame.ts';
import type { Signer } from '../../src/client/keys/signer.ts';

/** The ledger channel id of a channel's number, 1 to 65,535. */
export const idOf = (number: number): Uint8Array =>
  new Uint8Array(32).map((_, at) => (at % 2 === 0 ? number >>> 8 : number));
const signatureOf = (message: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash('sha512').update('key').update(message).digest());

/** Signs messages with a hash, at once or when it is let; ordinary claims with a constant. */
export class RootSigner implements Signer {
  readonly publicKey = new Uint8Array(33).fill(2);
  isSlow = false;
  readonly calls: ((failure?: Error) => void)[] = [];
  roots = 0;

  signClaim(claim: Uint8Array, offset: number): void {
    claim.fill(0x5a, offset + 21, offset + 85);
  }

  signMessage(message: Uint8Array): Uint8Array | Promise<Uint8Array> {
    this.roots += 1;
    if (!this.isSlow) return signatureOf(message);
    return new Promise((resolve, reject) => {
      this.calls.push((failure) => (failure ? reject(failure) : resolve(signatureOf(message))));
    });
  }
}

export interface Held {
  committed: bigint;
  ordinary: bigint;
  sequence: number;
}

/** What a node with --roots does, rule by rule. */
export class RootNode {
  readonly channels = new Map<bigint, Held>();
  readonly roots: { sequence: number; leaves: number; block: number }[] = [];
  readonly claims: Claim[] = [];
  readonly refusals: number[] = [];
  exposure: bigint | undefined;
  capacity: bigint | undefined;
  /** What it answers for a channel, whatever comes. */
  readonly answers = new Map<bigint, number>();
  readonly isLink: boolean;

  constructor(isLink = false) {
    this.isLink = isLink;
  }

  take(datagram: Uint8Array): Uint8Array {
    const acks: Ack[] = [];
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
    walkFrames(datagram, 0, datagram.length, {
      claim: (_, offset) => void acks.push(this.#claim(decodeClaim(view, offset))),
      ack: () => expect.unreachable(),
      merkle: (_, offset) => acks.push(...this.#frame(datagram, view, offset)),
    });
    return Buffer.concat(acks.map(ackBytes));
  }

  #held(channelId: bigint): Held {
    const held = this.channels.get(channelId) ?? { committed: 0n, ordinary: 0n, sequence: 0 };
    this.channels.set(channelId, held);
    return held;
  }

  #frame(datagram: Uint8Array, view: DataView, offset: number): Ack[] {
    const head = emptyFrameHead();
    expect(readFrameHead(datagram, offset, datagram.length, head)).toBe(true);
    const { leaves, block, sequence, count } = head;
    const handles = Array.from({ length: count }, (_, index) => view.getBigUint64(frameLeafAt(offset, index)));
    // A question: signed by nobody.
    const isQuestion = datagram.subarray(offset + 20, offset + 84).every((byte) => byte === 0xff);
    if (isQuestion) {
      const amount = view.getBigUint64(frameLeafAt(offset, 0) + 8);
      const isHeld = amount <= this.#held(handles[0]!).committed;
      const asked = { channelId: handles[0]!, sequence, amount, timestamp: view.getFloat64(offset + 12) };
      return [{ ...asked, status: isHeld ? STATUS.ALREADY : STATUS.BAD_SIGNATURE }];
    }
    const ids = Buffer.concat(handles.map((handle) => idOf(Number(handle & 0xffffn))));
    const root = new Uint8Array(32);
    frameRoot(datagram, offset, head, ids, root, 0);
    const signed = rootPreimage(root, leaves, sequence, datagram.slice(offset + 12, offset + 20));
    expect(Buffer.from(signatureOf(signed))).toEqual(Buffer.from(datagram.slice(offset + 20, offset + 84)));
    this.roots.push({ sequence, leaves, block });
    return handles.map((channelId, index) => {
      const amount = view.getBigUint64(frameLeafAt(offset, index) + 8);
      return this.#judge({ channelId, sequence, amount, timestamp: view.getFloat64(offset + 12) }, true);
    });
  }

  #claim(claim: Claim): Ack {
    this.claims.push(claim);
    return this.#judge(claim, false);
  }

  #judge(claim: Omit<Ack, 'status'>, isLeaf: boolean): Ack {
    const held = this.#held(claim.channelId);
    const { amount, sequence } = claim;
    const answer = (status: number, said = amount): Ack => {
      if (status >= 16) this.refusals.push(status);
      return { ...claim, status, amount: said };
    };
    const fixed = this.answers.get(claim.channelId);
    if (fixed !== undefined) return answer(fixed, fixed === STATUS.OVERLOADED ? 0n : amount);
    if (this.capacity !== undefined && amount > this.capacity) return answer(STATUS.OVER_CAPACITY, this.capacity);
    if (amount <= (isLeaf ? held.committed : held.ordinary)) return answer(STATUS.ALREADY);
    if (this.isLink && sequence <= held.sequence) return answer(STATUS.BAD_SEQUENCE);
    if (isLeaf && this.exposure !== undefined && amount - held.ordinary > this.exposure)
      return answer(STATUS.ROOT_EXPOSURE, held.ordinary + this.exposure);
    held.sequence = sequence;
    if (!isLeaf) held.ordinary = amount;
    if (amount > held.committed) held.committed = amount;
    return answer(STATUS.COMMITTED);
  }
}
