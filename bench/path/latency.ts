/**
 * One claim at a time, from sending the datagram to its durable ack, at the node and at the floor (floor.ts) in turns, by the
 * same client. Runs in the main thread of the bench and blocks it, so nothing else there may wait for an event.
 */

import { join } from 'node:path';
import {
  ACK_AMOUNT,
  ACK_BYTES,
  ACK_STATUS,
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  FRAME_ACK,
  STATUS,
} from '../../protocol/layout.ts';
import { assert } from '../../src/errors.ts';
import type { HostPort } from '../../src/host-port.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { openLoadChannels } from '../../src/load/node-side.ts';
import { NativeUdp, READABLE } from '../../src/transport/udp-native.ts';
import type { Figures } from '../harness.ts';
import { NodeUnderTest } from '../node-under-test.ts';
import { signAhead } from '../pool/signed-ahead.ts';
import { startFloor } from './floor.ts';
import { difference } from './load.ts';

const SEED = 7;
const ROUNDS = 8;
const ROUND_CLAIMS = 500;
const ROUND_CLAIMS_QUICK = 60;
/** Claims of each before the clock runs. */
const WARM_CLAIMS = 200;
const WAIT_US = 1_000_000;
/** Seconds of silence until a claim counts as lost; none is lost on loopback, one at a time. */
const WAITS_MAX = 5;

class OneAtATime {
  readonly microseconds: number[] = [];
  readonly #sender: NativeUdp;
  /** Low half of the amount last acknowledged. */
  #acked = 0;

  constructor(sender: NativeUdp) {
    this.#sender = sender;
  }

  payload(_bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    assert(length === ACK_BYTES && view.getUint8(offset) === FRAME_ACK, 'an ack comes back');
    const status = view.getUint8(offset + ACK_STATUS);
    assert(status === STATUS.COMMITTED, `the claim is committed, got status ${status}`);
    this.#acked = view.getUint32(offset + ACK_AMOUNT + 4);
  }

  /** Sends the claims from `first` up to `end`, each after the ack of the one before. */
  send(claims: Uint8Array, first: number, end: number, isMeasured: boolean): void {
    const view = new DataView(claims.buffer);
    for (let claim = first; claim < end; claim++) {
      const from = claim * CLAIM_BYTES;
      const amount = view.getUint32(from + CLAIM_AMOUNT + 4);
      this.#sender.sending.set(claims.subarray(from, from + CLAIM_BYTES));
      const begin = performance.now();
      assert(this.#sender.sendSegments(0, CLAIM_BYTES, CLAIM_BYTES) === 1, 'an empty socket takes a datagram');
      for (let waits = 0; this.#acked !== amount; waits++) {
        assert(waits < WAITS_MAX, `claim ${claim} is answered`);
        if ((this.#sender.wait(WAIT_US, false) & READABLE) !== 0) this.#sender.receiveInto(this);
      }
      if (isMeasured) this.microseconds.push((performance.now() - begin) * 1_000);
    }
  }

  percentile(share: number): number {
    const sorted = this.microseconds.toSorted((left, right) => left - right);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  }

  close(): void {
    this.#sender.close();
  }
}

async function clientTo(address: HostPort): Promise<OneAtATime> {
  return new OneAtATime(await NativeUdp.connect(address, CLAIM_BYTES));
}

/** @param flags of the node */
export async function measureLatency(
  folder: string,
  isQuick: boolean,
  flags: readonly string[] = [],
): Promise<Figures> {
  const perRound = isQuick ? ROUND_CLAIMS_QUICK : ROUND_CLAIMS;
  const count = WARM_CLAIMS + ROUNDS * perRound;
  const channels = LoadChannels.derive(SEED, 1, 1);
  const claims = signAhead(SEED, channels, count);
  return await NodeUnderTest.run(join(folder, 'latency'), flags, async (node) => {
    await openLoadChannels(node.admin, channels, () => {});
    const before = await node.stats();
    const floor = await startFloor(join(folder, 'floor'));
    const [ours, theirs] = [await clientTo(node.udp), await clientTo(floor)];
    try {
      for (const client of [ours, theirs]) client.send(claims, 0, WARM_CLAIMS, false);
      for (let first = WARM_CLAIMS; first < count; first += perRound)
        for (const client of [ours, theirs]) client.send(claims, first, first + perRound, true);
    } finally {
      for (const client of [ours, theirs]) client.close();
      await floor.stop();
    }
    const { verified, committed, syncs } = difference(before, await node.stats());
    assert(
      verified === count && committed === count && syncs === count,
      `each of ${count} claims was verified and synced by itself, got ${verified}, ${committed} and ${syncs}`,
    );
    return figuresOf(ours, theirs);
  });
}

function figuresOf(ours: OneAtATime, theirs: OneAtATime): Figures {
  return {
    'path.latencyP50Us': ours.percentile(0.5),
    'path.latencyP99Us': ours.percentile(0.99),
    'path.floorP50Us': theirs.percentile(0.5),
    'path.floorP99Us': theirs.percentile(0.99),
    'path.latencyP50VsFloor': ours.percentile(0.5) / theirs.percentile(0.5),
    'path.latencyP99VsFloor': ours.percentile(0.99) / theirs.percentile(0.99),
  };
}
