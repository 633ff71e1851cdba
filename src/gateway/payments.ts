/**
 * Takes the payment of a request: reads what its Authorization says, checks it, and charges the channel. Main thread.
 *
 * The order of the checks: size and shape; is the challenge ours, and for this price; the channel and its state; the source;
 * the signature; and then compare and set on what was charged so far. Nothing is told of a channel before the signature is
 * found to be its key's.
 */

import { SESSION_SCHEME } from '../../protocol/session.ts';
import { upperHex } from '../channel/parse.ts';
import { type Channel, redeemable } from '../channel/row.ts';
import type { System } from '../system/system.ts';
import type { Challenges } from './challenges.ts';
import { Charging } from './charging.ts';
import type { GatewayCounters } from './counters.ts';
import { Ledger } from './ledger.ts';
import { isElsewhere, MOVED, short, statusRefusal, wrongSignature } from './refusals.ts';
import { type Credential, credentialOf, parseCredential } from './scheme.ts';
import { type Session, Sessions } from './sessions.ts';
import { SignatureCheck, type SignatureVerdict } from './signature-check.ts';
import { type GatewayNode, type Payment, type PaymentSettings, refused, type Verdict } from './verdict.ts';
import { claimOf, compactSignature, type OpenPayload, parsePayload, Sources, type Voucher } from './voucher.ts';
import { VoucherMarks } from './voucher-marks.ts';

const BUSY: Verdict = { kind: 'busy' };

export class Payments {
  readonly #parts: GatewayNode;
  readonly #challenges: Challenges;
  readonly #settings: PaymentSettings;
  readonly #counters: GatewayCounters;
  /** What was taken can be added to, and given back. */
  readonly charging: Charging;
  readonly #clock: System['clock'];
  readonly #signatures: SignatureCheck;
  readonly #sessions: Sessions;
  readonly #sources: Sources;
  readonly #ledger: Ledger;
  readonly #marks = new VoucherMarks();
  #sequence = 0;

  constructor(
    parts: GatewayNode,
    challenges: Challenges,
    settings: PaymentSettings,
    counters: GatewayCounters,
    clock: System['clock'],
  ) {
    this.#parts = parts;
    this.#challenges = challenges;
    this.#settings = settings;
    this.#counters = counters;
    this.#clock = clock;
    this.#signatures = new SignatureCheck(clock);
    this.#sessions = new Sessions(parts.node, challenges, this.#signatures);
    this.#sources = new Sources(challenges.merchant.network);
    this.#ledger = new Ledger(parts, clock);
    this.charging = new Charging(parts.meter, counters, () => this.#ledger.notFound());
  }

  /**
   * Charges `price` drops to whom the header names. The verdict is there at once where a session's charge is reserved.
   * @param repeatKey what the client calls this request, where it pays by a session: charged once
   * @param mayReserve whether a charge that is not durable yet will do: see `Payment.settled`
   */
  take(
    authorization: string | undefined,
    price: bigint,
    { repeatKey, mayReserve = false }: { repeatKey?: string | undefined; mayReserve?: boolean } = {},
  ): Promise<Verdict> | Verdict {
    // A session has many requests, whose headers are the same text.
    const known = authorization === undefined ? undefined : this.#sessions.known(authorization);
    if (known !== undefined) return this.#bySession(known, price, repeatKey, mayReserve);
    const credential = credentialOf(authorization, 'Payment');
    if (credential !== undefined) return this.#byCredential(credential, price, mayReserve);
    const token = credentialOf(authorization, SESSION_SCHEME);
    if (token !== undefined) return this.#byToken(token, price, repeatKey, mayReserve);
    return refused('payment-required', `this costs ${price} drops`);
  }

  /**
   * The amount that the next voucher of a channel counts from: what was charged, and where claims came another way, what
   * they have committed.
   */
  voucherBase(channelId: bigint): bigint {
    const spent = this.#parts.meter.spent(channelId);
    const committed = this.#parts.node.channel(channelId)?.committed ?? 0n;
    return committed > this.#marks.of(channelId) && committed > spent ? committed : spent;
  }

  async #byCredential(text: string, price: bigint, mayReserve: boolean): Promise<Verdict> {
    const credential = parseCredential(text);
    if (typeof credential === 'string') return refused('malformed-credential', credential);
    return await this.takeCredential(credential, price, false, mayReserve);
  }

  /**
   * The same for a credential whose shape was checked.
   * @param isKnown whether the caller has found the challenge to be its own, and for this price
   */
  async takeCredential(credential: Credential, price: bigint, isKnown = false, mayReserve = false): Promise<Verdict> {
    const payload = parsePayload(credential.payload);
    if (typeof payload === 'string') return refused('malformed-credential', payload);
    const fault = isKnown ? undefined : this.#challenges.fault(credential.challenge, price);
    if (fault !== undefined) return refused('invalid-challenge', fault);
    if (payload.action === 'open') return this.#open(payload, credential, price);
    if (isElsewhere(this.#parts.node, payload.handle)) return MOVED;
    const channel = await this.#ledger.channel(payload);
    if (channel === undefined) return refused('session/channel-not-found', this.#ledger.notFound());
    const refusal = this.#stateFault(channel) ?? this.#sourceFault(credential, channel);
    if (refusal !== undefined) return refusal;
    const signature = compactSignature(payload.signature, channel.publicKey);
    if (signature === undefined) return refused('session/invalid-signature', 'expected strict DER, or Ed25519 in hex');
    if (payload.amount > channel.capacity)
      return refused('session/amount-exceeds-deposit', `the channel holds ${channel.capacity} drops`);
    if (payload.action === 'close') return this.#close(payload, signature, channel);
    const { id } = credential.challenge;
    return this.#byVoucher(payload, signature, channel, { price, challengeId: id, mayReserve });
  }

  async #byVoucher(
    voucher: Voucher,
    signature: Uint8Array,
    channel: Channel,
    { price, challengeId, mayReserve }: { price: bigint; challengeId: string; mayReserve: boolean },
  ): Promise<Verdict> {
    const key = `${challengeId}:${voucher.amount.toString(36)}`;
    const proof = voucher.signature;
    const { channelId } = channel;
    if (voucher.amount < this.#parts.meter.spent(channelId) + price) {
      const fault = this.#signatureFault(this.#verify(voucher, signature, channel));
      if (fault !== undefined) return fault;
      // The same credential again: its answer may be stored. Otherwise what it pays was spent.
      if (voucher.amount <= this.#parts.meter.spent(channelId)) return { kind: 'repeated', key, proof, channel };
      return short(voucher, this.voucherBase(channelId), price, channel);
    }
    const fault = await this.#commit(voucher, signature, channel);
    if (fault !== undefined) return fault;
    // The same claim came another way meanwhile.
    if (voucher.amount > this.#marks.of(channelId)) return short(voucher, this.voucherBase(channelId), price, channel);
    const id = upperHex(channel.ledgerChannelId);
    const payment = newPayment('voucher', channel, id, price, key, proof, challengeId);
    return this.charging.byVoucher(payment, voucher, mayReserve);
  }

  #byToken(
    token: string,
    price: bigint,
    repeatKey: string | undefined,
    mayReserve: boolean,
  ): Promise<Verdict> | Verdict {
    const session = this.#sessions.find(token);
    if (session === 'busy') return BUSY;
    if (session === 'moved') return MOVED;
    if ('problem' in session) return refused(session.problem, session.detail);
    return this.#bySession(session, price, repeatKey, mayReserve);
  }

  #bySession(
    { channel, id, token }: Session,
    price: bigint,
    repeatKey: string | undefined,
    mayReserve: boolean,
  ): Promise<Verdict> | Verdict {
    if (isElsewhere(this.#parts.node, channel.channelId)) return MOVED;
    const state = this.#stateFault(channel);
    if (state !== undefined) return state;
    const payment = newPayment('session', channel, id, price, repeatKey, token, undefined);
    return this.charging.bySession(payment, this.#settings.claimWaitMs, mayReserve);
  }

  /** Sees that the voucher's own signature is sound and its amount durable; otherwise says why not. */
  async #commit(voucher: Voucher, signature: Uint8Array, channel: Channel): Promise<Verdict | undefined> {
    // A claim for no more than leaves have paid is still the first that can be redeemed for it.
    const isNew = voucher.amount > redeemable(channel).committed;
    let isFirst = false;
    if (isNew) {
      this.#sequence = (this.#sequence + 1) >>> 0;
      const claim = claimOf(voucher, signature, this.#sequence, this.#clock.wall());
      let status: string;
      try {
        ({ status } = await this.#parts.meter.submit(claim));
      } catch (error) {
        return this.charging.fault(error, channel, 0n);
      }
      if (status !== 'COMMITTED' && status !== 'ALREADY')
        return statusRefusal(status, channel, this.#ledger.notFound());
      isFirst = status === 'COMMITTED' && voucher.amount > channel.committed;
    }
    // A node answers ALREADY without a look at the signature, and one answer may cover several claims. So it is this claim
    // that must stand in the node's books, or its signature is checked here.
    const now = redeemable(isNew ? (this.#parts.node.channel(channel.channelId) ?? channel) : channel);
    // An amount that was raised without a claim has 64 zeros there, which are nobody's signature.
    const isInBooks = now.committed === voucher.amount && Buffer.compare(now.signature, signature) === 0;
    const isSound = isInBooks && signature.some((byte) => byte !== 0);
    const fault = isSound ? undefined : this.#signatureFault(this.#verify(voucher, signature, channel));
    if (fault === undefined && isFirst) this.#marks.note(channel.channelId, voucher.amount);
    return fault;
  }

  #verify(voucher: Voucher, signature: Uint8Array, { ledgerChannelId, publicKey }: Channel): SignatureVerdict {
    return this.#signatures.claim(ledgerChannelId, voucher.amount, signature, publicKey);
  }

  #signatureFault(verdict: SignatureVerdict): Verdict | undefined {
    if (verdict === 'valid') return undefined;
    if (verdict === 'busy') return BUSY;
    return wrongSignature();
  }

  #stateFault({ state, expiresAt, profile }: Channel): Verdict | undefined {
    if (profile !== 'xrpl') return refused('verification-failed', 'the channel is not one of the XRP Ledger');
    const end = this.#parts.node.ruleSeconds + this.#settings.settleMarginSeconds;
    if (state === 'open' && (expiresAt === 0 || expiresAt > end)) return undefined;
    return refused('session/channel-finalized', 'the channel is closed, or ends too soon to be redeemed');
  }

  #sourceFault({ source }: Credential, channel: Channel): Verdict | undefined {
    if (source === undefined || this.#sources.isOf(source, channel)) return undefined;
    return refused('verification-failed', "the source is not the address of the channel's key on this network");
  }

  /**
   * Opens the channel that a payer creates. Its first claim pays for the request where it is one of this channel; the SDK's
   * client does not know the channel's id yet and signs another, so that its next voucher pays.
   */
  async #open(
    { transaction, amount, signature }: OpenPayload,
    credential: Credential,
    price: bigint,
  ): Promise<Verdict> {
    const opened = await this.#ledger.open(transaction, price);
    if ('kind' in opened) return opened;
    this.#counters.opened++;
    const channelId = upperHex(opened.ledgerChannelId);
    const first = parsePayload({ action: 'voucher', channelId, amount, signature });
    if (typeof first !== 'string' && first.action !== 'open') {
      const compact = compactSignature(first.signature, opened.publicKey);
      if (compact !== undefined && this.#verify(first, compact, opened) === 'valid') {
        const payload = { action: 'voucher', channelId, amount, signature };
        return this.takeCredential({ ...credential, payload }, price, true);
      }
    }
    // The transaction is the ledger's for all to see, so that it shows nobody what was spent since.
    const isFresh = this.#parts.meter.spent(opened.channelId) === 0n;
    return refused('payment-required', `the channel is open; this costs ${price} drops`, isFresh ? opened : undefined);
  }

  async #close(voucher: Voucher, signature: Uint8Array, channel: Channel): Promise<Verdict> {
    const fault = await this.#commit(voucher, signature, channel);
    if (fault !== undefined) return fault;
    return this.#ledger.close(channel, voucher.amount);
  }
}

/** All have one shape, and none is a copy of another: a spread costs a microsecond for each request. */
function newPayment(
  by: Payment['by'],
  channel: Channel,
  id: string,
  drops: bigint,
  key: string | undefined,
  proof: string,
  challengeId: string | undefined,
): Payment {
  return { by, channel, id, drops, spent: 0n, key, proof, challengeId, settled: undefined };
}
