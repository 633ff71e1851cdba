/**
 * Channels of one key that are paid together, as a hub does: each wave of payments is the leaves of one signed root (or of several, where
 * there are more channels than a root has leaves). Payer's thread.
 *
 * A channel costs a wave some words in typed arrays, no promise and no object: waves.ts has the amounts, root-line.ts makes and signs the
 * roots, root-sender.ts sends them, ordinary-claims.ts has the channels that an ordinary claim must follow for.
 */
import { LEDGER_CHANNEL_ID_BYTES, STATUS, U64_MAX } from '../../../protocol/layout.ts';
import type { TreeHash } from '../../../protocol/merkle.ts';
import { type Abortable, abortable } from '../abort.ts';
import type { PaymentChannel } from '../channel.ts';
import { closedError, fullError, invalid, refusedError, timeoutError } from '../claim-errors.ts';
import type { FlowGroup } from '../flow.ts';
import type { Inflight, InflightParts } from '../inflight.ts';
import { keyId, learnExposure } from '../roots.ts';
import type { ClaimAck } from '../waiter-queue.ts';
import { dropsOf, readPair, writePair } from './amounts.ts';
import { GroupError, type GroupFailure } from './group-error.ts';
import { GroupRecorder } from './group-recorder.ts';
import { type GroupRoot, SENT, WAITS } from './group-root.ts';
import type { Member } from './member.ts';
import { OrdinaryClaims } from './ordinary-claims.ts';
import { RootLine } from './root-line.ts';
import { RootSender } from './root-sender.ts';
import type { Wave } from './wave.ts';
import { Waves } from './waves.ts';

/** How a group pays. */
export interface GroupOptions {
  /** Waves that may be under way at once, 1 to 64. Each takes some 40 bytes a channel. Default 4. */
  waves?: number;
}

/** A wave that is durable. */
export interface GroupAck {
  /** Channels that it paid. */
  claims: number;
  /** Milliseconds from the call of pay() to the last of its acks. */
  rttMs: number;
}

const WAVES_DEFAULT = 4;
const WAVES_MAX = 64;

export interface GroupParts {
  readonly inflight: Inflight;
  readonly parts: InflightParts;
  readonly members: readonly Member[];
  readonly hash: TreeHash;
  readonly leavesMax: number;
}

/** Channels that are paid together. Made by Payer.group(). */
export class PaymentGroup implements FlowGroup {
  /** In the order in which they were given; amounts have it too. */
  readonly channels: readonly PaymentChannel[];
  readonly #group: GroupParts;
  readonly #waves: Waves;
  readonly #line: RootLine;
  readonly #sender: RootSender;
  readonly #ordinary: OrdinaryClaims;
  readonly #recorder: GroupRecorder;
  readonly #key: { sequence: number };
  /** Of its roots, and of those that others of the key have signed since it began. */
  #firstSequence: number;
  #learning: Promise<void> | undefined;
  #isKnown = false;
  #isClosed = false;
  /** Whether the message being read had news; and whether it gave a round trip. */
  #hasNews = false;
  #isSampled = false;

  constructor(group: GroupParts, { waves = WAVES_DEFAULT }: GroupOptions) {
    const { members, parts, inflight, hash, leavesMax } = group;
    if (!(Number.isInteger(waves) && waves >= 1 && waves <= WAVES_MAX))
      throw invalid(`waves: expected 1..${WAVES_MAX}, got ${waves}`);
    const flows = members.map(({ flow }) => flow);
    const { signer } = checkedFlows(flows);
    this.#group = group;
    this.channels = members.map(({ channel }) => channel);
    this.#key = flows[0]!.roots!.key;
    const ids = {
      ledger: new Uint8Array(flows.length * LEDGER_CHANNEL_ID_BYTES),
      handles: new Uint32Array(2 * flows.length),
    };
    this.#waves = new Waves(flows.length, waves, parts.path.window);
    for (const [index, flow] of flows.entries()) {
      ids.ledger.set(flow.identity.ledgerChannelId, index * LEDGER_CHANNEL_ID_BYTES);
      writePair(ids.handles, index, flow.identity.channelId);
      if (flow.lastSequence > this.#key.sequence) this.#key.sequence = flow.lastSequence;
    }
    this.#firstSequence = this.#key.sequence;
    this.#recorder = new GroupRecorder(members, (index) => this.#ordinary.read(index));
    const { clock } = parts;
    const changed = () => this.#sweep();
    const kept = () => this.#recorder.kept;
    this.#ordinary = new OrdinaryClaims({ flows, inflight, waves: this.#waves, key: this.#key, kept, changed });
    this.#sender = new RootSender({ ...parts, waves: this.#waves, looked: (now) => this.#expire(now) });
    this.#line = new RootLine({
      clock,
      hash,
      signer,
      key: this.#key,
      ids,
      leavesMax,
      isLeaf: (wave, index) => this.#ordinary.takesLeaf(wave, index),
      signed: (wave, root) => this.#signed(wave, root),
      failed: (wave, error) => this.#unsigned(wave, error),
    });
  }

  /**
   * Pays each channel its drops more, in one wave: one number above 0 for all of them, or one for each, 0 for those that are not
   * to be paid now. Resolves when every claim of the wave is durable at the node. Several waves may be under way; each goes into roots of its own, in
   * the order of the calls. Before the first one the node is asked what it holds of each channel, as by PaymentChannel.pay.
   *
   * Rejects with a GroupError (code GROUP_FAILED) where some channels are not paid: its `failures` say which, and why, in the errors of
   * PaymentChannel.pay; all others are paid. Or with ClaimwireError: PAYER_FULL (as many waves as `waves` allows are under way), PAYER_CLOSED,
   * NODE_UNREACHABLE, STATE_FAILED or INPUT_INVALID (no such drops, or a sum that is no u64: nothing is paid), or the reason of `signal`.
   * After an abort, a timeout or a close what was asked for stays claimed, and a later wave may pay it.
   */
  pay(drops: bigint | BigUint64Array, { signal }: Abortable = {}): Promise<GroupAck> {
    try {
      this.#check(drops);
      if (this.#isKnown) return this.#begin(drops, this.#group.parts.clock.now(), signal);
    } catch (error) {
      return Promise.reject(error);
    }
    // Its owner may write to it meanwhile.
    const copy = typeof drops === 'bigint' ? drops : drops.slice();
    const calledAt = this.#group.parts.clock.now();
    return abortable(signal, () => this.#learn()).then(() => this.#begin(copy, calledAt, signal));
  }

  /**
   * Follows with an ordinary claim for each channel that leaves alone have paid: only that can be redeemed on a ledger. Each costs a signature.
   * Resolves when all are durable, with how many there were; rejects as `pay` does.
   */
  async cover({ signal }: Abortable = {}): Promise<GroupAck> {
    const startedAt = this.#group.parts.clock.now();
    const failures: GroupFailure[] = [];
    let claims = 0;
    const one = async (index: number): Promise<void> => {
      try {
        if (await this.#ordinary.cover(index)) claims += 1;
      } catch (error) {
        failures.push(this.#failure(index, this.#waves.standing, error as Error));
      }
    };
    await abortable(signal, async () => {
      if (!this.#isKnown) await this.#learn();
      await Promise.all(this.channels.map((_, index) => one(index)));
    });
    if (failures.length > 0) throw new GroupError(failures, claims + failures.length);
    return { claims, rttMs: this.#group.parts.clock.now() - startedAt };
  }

  // --- what its payer calls ---

  read(index: number): void {
    if (this.#isKnown) this.#ordinary.read(index);
  }

  async coverOne(index: number): Promise<ClaimAck> {
    if (!this.#isKnown) await this.#learn();
    return await this.#ordinary.follow(index);
  }

  /** Takes an ack of a channel. Returns false where no root has its sequence. */
  ack(index: number, status: number, sequence: number, high: number, low: number, now: number): boolean {
    const used = (this.#key.sequence - this.#firstSequence) >>> 0;
    if ((this.#key.sequence - sequence) >>> 0 >= used && !this.#ordinary.isFollowing(index)) return false;
    const { parts } = this.#group;
    if (status <= STATUS.ALREADY) {
      if (!this.#isSampled) this.#sample(index, sequence, now);
      this.#waves.durable(index, high, low);
      this.#hasNews = true;
    } else if (status === STATUS.OVERLOADED) parts.path.window.shrink(now, parts.path.rtt.rtoMs);
    else this.#refused(index, status, sequence, high, low, now);
    return true;
  }

  /** A message was read. */
  heard(): void {
    this.#isSampled = false;
    if (!this.#hasNews) return;
    this.#hasNews = false;
    const { clock, path } = this.#group.parts;
    path.progressAt = clock.now();
    path.window.grow(this.#waves.takeGone());
    this.#sweep();
    this.#sender.send();
  }

  unreachable(error: () => Error): void {
    for (const wave of [...this.#waves.live]) this.#end(wave, error());
  }

  resendAll(): void {
    this.#sender.sendAllAgain();
  }

  close(): void {
    this.#isClosed = true;
    this.#line.close();
    this.#sender.close();
    this.unreachable(closedError);
    if (this.#isKnown) for (const index of this.channels.keys()) this.#ordinary.adopt(index);
  }

  // --- waves ---

  #check(drops: bigint | BigUint64Array): void {
    if (this.#isClosed) throw closedError();
    if (typeof drops === 'bigint') {
      if (drops <= 0n || drops > U64_MAX) throw invalid(`drops: expected 1..2^64-1, got ${drops}`);
    } else if (!(drops instanceof BigUint64Array) || drops.length !== this.channels.length)
      throw invalid(`drops: expected a bigint, or a BigUint64Array of ${this.channels.length}, got others`);
  }

  #begin(drops: bigint | BigUint64Array, calledAt: number, signal?: AbortSignal): Promise<GroupAck> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const { parts, inflight } = this.#group;
      inflight.expectOpen();
      const wave = this.#waves.free();
      if (wave === undefined) throw fullError(this.#waves.live.length);
      const overflow = this.#waves.begin(wave, dropsOf(drops));
      if (overflow >= 0) throw invalid(`drops: expected a sum in 0..2^64-1, got more for channel ${overflow}`);
      const now = parts.clock.now();
      wave.startedAt = now;
      wave.deadline = now + parts.ackTimeoutMs;
      const abort = () => this.#end(wave, signal!.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      inflight.waiting += 1;
      wave.settle = (failure) => {
        inflight.waiting -= 1;
        signal?.removeEventListener('abort', abort);
        const rttMs = parts.clock.now() - calledAt;
        parts.counters.waited(rttMs);
        if (failure === undefined) resolve({ claims: wave.claims, rttMs });
        else reject(failure);
      };
      this.#recorder.record(
        wave,
        () => this.#line.add(wave),
        (error) => wave.isLive && this.#end(wave, error),
      );
      this.#sender.watch();
      this.#sweep();
    });
  }

  /** Ends the waves that nothing is waited for in. */
  #sweep(): void {
    const { live } = this.#waves;
    for (let at = 0; at < live.length; ) {
      const wave = live[at]!;
      if (wave.left > 0) at += 1;
      else this.#end(wave, undefined);
    }
  }

  #end(wave: Wave, error: Error | undefined): void {
    const { failures, amounts, claims } = wave;
    this.#waves.end(wave);
    if (error !== undefined || failures.length === 0) wave.settle(error);
    else
      wave.settle(
        new GroupError(
          failures.map(({ index, error: why }) => this.#failure(index, amounts, why)),
          claims,
        ),
      );
  }

  #failure(index: number, amounts: Uint32Array, error: Error): GroupFailure {
    return { channel: this.channels[index]!, amount: readPair(amounts, index), error };
  }

  #expire(now: number): void {
    const { parts, members } = this.#group;
    for (const wave of this.#waves.live) {
      if (wave.deadline > now) continue;
      for (let index = 0; index < wave.flags.length && wave.left > 0; index++)
        if ((wave.flags[index]! & WAITS) !== 0) {
          const { channelId } = members[index]!.flow.identity;
          this.#waves.fail(wave, index, timeoutError(parts, channelId, readPair(wave.amounts, index)));
        }
    }
    this.#sweep();
  }

  #signed(wave: Wave, root: GroupRoot): void {
    const { members, end } = root;
    this.#group.inflight.rootWasSigned();
    wave.roots.push(root);
    wave.signedTo = end;
    for (let leaf = 0; leaf < members.length; leaf++) this.#waves.stand(wave, members[leaf]!);
    this.#sender.add(wave, root);
  }

  /** What is not signed by now is not owed: neither in this wave nor in those after it, whose amounts add to it. */
  #unsigned(first: Wave, error: Error): void {
    const waves = this.#waves;
    const failed = new Set<number>();
    for (const wave of waves.live.slice(Math.max(0, waves.live.indexOf(first))))
      for (let index = wave.signedTo; index < wave.flags.length; index++) {
        if ((wave.flags[index]! & WAITS) === 0 || this.#ordinary.isFollowing(index)) continue;
        waves.fail(wave, index, error);
        failed.add(index);
      }
    for (const index of failed) waves.fallBack(index, true);
    this.#sweep();
  }

  #refused(index: number, status: number, sequence: number, high: number, low: number, now: number): void {
    const { parts, members } = this.#group;
    const { flow } = members[index]!;
    const { channelId } = flow.identity;
    const amount = (BigInt(high) << 32n) | BigInt(low);
    const isMoved = status === STATUS.MOVED && parts.link.moved !== undefined;
    if (isMoved || status === STATUS.ROOT_EXPOSURE) {
      // Neither is final: an ordinary claim finds the channel's new holder, and goes beyond the exposure.
      if (isMoved) parts.link.moved?.(channelId, amount);
      else if (this.#waves.live.some(({ flags }) => (flags[index]! & SENT) !== 0)) learnExposure(flow, amount);
      else return;
      this.#ordinary.follow(index).catch(() => {});
      return;
    }
    const refusal = { status, channelId, sequence, amount, timestamp: now };
    this.#waves.refuse(index, status, sequence, high, low, (claimed, startedAt) =>
      refusedError(refusal, claimed, now - startedAt),
    );
    this.#hasNews = true;
  }

  /** A round trip, where an ack tells it: of a frame that left once. */
  #sample(index: number, sequence: number, now: number): void {
    this.#isSampled = true;
    for (const wave of this.#waves.live) {
      const root = wave.rootOf(index);
      if (root?.sequence !== sequence || (wave.flags[index]! & SENT) === 0) continue;
      const block = root.blockOf(index);
      if (root.again[block] === 0) this.#group.parts.path.rtt.sample(now - root.sentAt[block]!);
    }
  }

  #learn(): Promise<void> {
    this.#learning ??= this.#askNode().finally(() => {
      this.#learning = undefined;
    });
    return this.#learning;
  }

  /** Asks what the node holds of each channel, where that is not known yet. */
  async #askNode(): Promise<void> {
    const { members } = this.#group;
    const failures: GroupFailure[] = [];
    const one = async ({ channel, flow, known }: Member): Promise<void> => {
      try {
        await known();
      } catch (error) {
        failures.push({ channel, amount: flow.claimed, error: error as Error });
      }
    };
    await Promise.all(members.map(one));
    if (failures.length > 0) throw new GroupError(failures, members.length);
    for (const [index, { flow }] of members.entries()) {
      writePair(this.#waves.claimed, index, flow.claimed);
      writePair(this.#waves.standing, index, flow.standing);
      writePair(this.#waves.committed, index, flow.committed);
      if (flow.lastSequence > this.#key.sequence) this.#key.sequence = flow.lastSequence;
    }
    this.#firstSequence = this.#key.sequence;
    this.#isKnown = true;
  }
}

/** Throws INPUT_INVALID where channels cannot be a group. */
function checkedFlows(flows: readonly Member['flow'][]): Member['flow']['identity'] {
  const [first] = flows;
  if (new Set(flows).size < flows.length) throw invalid('channels: expected each once, got one again');
  if (first === undefined) throw invalid('channels: expected at least one, got none');
  for (const { identity, seat, outstanding } of flows) {
    if (keyId(identity.signer) !== keyId(first.identity.signer))
      throw invalid('channels: expected those of one key, got those of several; make a group for each');
    if (seat !== undefined) throw invalid(`channels: expected none of another group, got ${identity.channelId}`);
    if (outstanding) throw invalid(`channels: expected none with a claim under way, got ${identity.channelId}`);
  }
  return first.identity;
}
