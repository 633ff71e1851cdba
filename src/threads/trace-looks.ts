/**
 * Looks at the rings from beside the claim path, and follows the claims of one row through them. Read only.
 *
 * The path has no code for it. A slot is read between the moment its claim is published and the moment the slot is used
 * again; the cursors and the verdict in the slot tell how far the claim has come. So a time is known to within two looks, and
 * a slot that was filled, freed and filled again between two looks is counted as missed. Reading costs the path no more than
 * the transfer of a cache line where a look falls between a store to a slot and the next.
 */
import { CLAIM_AMOUNT, CLAIM_CHANNEL_ID, CLAIM_SEQUENCE } from '../../protocol/layout.ts';
import { type ChannelTable, HOT_ID_HIGH, HOT_ID_LOW } from '../channel/table.ts';
import type { TracedClaim } from '../control/inspect-control.ts';
import type { Arena } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import {
  isJudged,
  plainVerdict,
  SLOT_ROW,
  SLOT_SOURCE,
  SLOT_VERDICT,
  VERDICT_INVALID,
  VERDICT_SUPERSEDED,
} from '../ring/slot.ts';
import { SourceCodec, sourcePort, sourceTransport } from '../transport/source.ts';
import { TRANSPORT_LOCAL, TRANSPORT_TCP, TRANSPORT_WEB } from '../transport/transport.ts';

/** Claims of the channel that are followed in a ring at a time; a payer seldom has as many in flight. */
const FOLLOWED_MAX = 1_024;

interface Followed {
  readonly position: number;
  readonly amount: bigint;
  readonly sequence: number;
  readonly from: string;
  readonly seenAt: number;
  verdict: number;
  judgedAt: number | undefined;
  resolution: number;
}

interface RingState {
  readonly ring: ClaimRing;
  /** The position up to which slots were looked at. */
  next: number;
  followed: Followed[];
}

export class TraceLooks {
  slots = 0;
  missedSlots = 0;
  looks = 0;
  readonly #arena: Arena;
  readonly #table: ChannelTable;
  readonly #row: number;
  readonly #rings: RingState[];
  readonly #sources = new SourceCodec();
  #lookedAt: number;

  /** @param now milliseconds of the clock that `look` is given */
  constructor(arena: Arena, table: ChannelTable, row: number, now: number) {
    this.#arena = arena;
    this.#table = table;
    this.#row = row;
    this.#lookedAt = now;
    this.#rings = Array.from({ length: arena.plan.shape.rings }, (_, index) => {
      const ring = new ClaimRing(arena, index);
      return { ring, next: ring.received, followed: [] };
    });
  }

  /** Looks once; returns the claims that have left their ring since. `now` is in milliseconds, with a fraction. */
  look(now: number): TracedClaim[] {
    const gap = now - this.#lookedAt;
    this.#lookedAt = now;
    this.looks++;
    const done: TracedClaim[] = [];
    for (const [lane, state] of this.#rings.entries()) {
      this.#seeNew(state, now, gap);
      state.followed = state.followed.filter((claim) => !this.#goOn(state.ring, claim, lane, now, gap, done));
    }
    return done;
  }

  #seeNew(state: RingState, now: number, gap: number): void {
    const { ring } = state;
    const received = ring.received;
    const fresh = (received - state.next) >>> 0;
    // Slots further back may be in use again. The other half of the ring is for claims that are filled in, not published.
    const readable = Math.min(fresh, ring.size / 2);
    this.missedSlots += fresh - readable;
    this.slots += readable;
    const { words } = this.#arena;
    for (let left = readable; left > 0; left--) {
      const position = (received - left) >>> 0;
      if (words[(ring.slot(position) + SLOT_ROW) >>> 2] !== this.#row) continue;
      const claim = this.#claimAt(ring, position, now, gap);
      if (claim !== undefined && state.followed.length < FOLLOWED_MAX) state.followed.push(claim);
      else this.missedSlots++;
    }
    state.next = received;
  }

  /** Undefined where the slot holds another claim by now. */
  #claimAt(ring: ClaimRing, position: number, now: number, gap: number): Followed | undefined {
    const { view, words } = this.#arena;
    const slot = ring.slot(position);
    const hot = this.#table.hot(this.#row);
    const verdict = ring.verdict(position);
    const claim: Followed = {
      position,
      amount: view.getBigUint64(slot + CLAIM_AMOUNT),
      sequence: view.getUint32(slot + CLAIM_SEQUENCE),
      from: this.#fromText(words, (slot + SLOT_SOURCE) >>> 2),
      seenAt: now,
      verdict: isJudged(verdict) ? plainVerdict(verdict) : 0,
      judgedAt: undefined,
      resolution: gap,
    };
    const isOurs =
      view.getUint32(slot + CLAIM_CHANNEL_ID) === this.#table.words[hot + HOT_ID_HIGH]! &&
      view.getUint32(slot + CLAIM_CHANNEL_ID + 4) === this.#table.words[hot + HOT_ID_LOW]!;
    return isOurs && this.#isStill(ring, position) ? claim : undefined;
  }

  /** Whether the slot cannot have been used again: it is not free, or the ring has not come halfway round. */
  #isStill(ring: ClaimRing, position: number): boolean {
    return (ring.received - position) >>> 0 <= ring.size / 2 || !hasPassed(ring, position);
  }

  /** Looks at a claim again; returns whether it has left the ring, and adds it to `done` then. */
  #goOn(ring: ClaimRing, claim: Followed, lane: number, now: number, gap: number, done: TracedClaim[]): boolean {
    claim.resolution = Math.max(claim.resolution, gap);
    const verdict = this.#arena.ints[(ring.slot(claim.position) + SLOT_VERDICT) >>> 2]!;
    // Read before this: of a slot that is used again the verdict says nothing.
    const isOver = hasPassed(ring, claim.position);
    if (claim.verdict === 0 && isJudged(verdict) && this.#isStill(ring, claim.position)) {
      claim.verdict = plainVerdict(verdict);
      claim.judgedAt = now;
    }
    if (isOver) done.push(this.#told(claim, lane, now));
    return isOver;
  }

  #told(
    { amount, sequence, from, seenAt, judgedAt, verdict, resolution }: Followed,
    lane: number,
    now: number,
  ): TracedClaim {
    const hot = this.#table.hot(this.#row);
    const high = this.#table.committedHigh(hot);
    const committed = (BigInt(high) << 32n) | BigInt(this.#table.committedLow(hot));
    const { words } = this.#table;
    return {
      channelId: String((BigInt(words[hot + HOT_ID_HIGH]!) << 32n) | BigInt(words[hot + HOT_ID_LOW]!)),
      lane,
      amount: String(amount),
      sequence,
      from,
      outcome: outcomeOf(verdict, committed >= amount),
      at: seenAt,
      verifyUs: judgedAt === undefined ? null : microseconds(judgedAt - seenAt),
      doneUs: microseconds(now - seenAt),
      resolutionUs: microseconds(resolution),
    };
  }

  #fromText(words: Uint32Array, at: number): string {
    const head = words[at]!;
    const transport = sourceTransport(head);
    if (transport === TRANSPORT_LOCAL) return 'local';
    if (transport === TRANSPORT_WEB) return 'web';
    const address = this.#sources.format(words, at, '');
    const host = address.includes(':') ? `[${address}]` : address;
    return `${transport === TRANSPORT_TCP ? 'tcp' : 'udp'} ${host}:${sourcePort(head)}`;
  }
}

function hasPassed(ring: ClaimRing, position: number): boolean {
  return ((ring.committed - position) | 0) > 0;
}

function outcomeOf(verdict: number, isCovered: boolean): TracedClaim['outcome'] {
  if (verdict === 0) return isCovered ? 'passed' : 'refused';
  if (verdict === VERDICT_INVALID) return 'badSignature';
  if (verdict === VERDICT_SUPERSEDED) return 'superseded';
  return isCovered ? 'committed' : 'refused';
}

function microseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1_000);
}
