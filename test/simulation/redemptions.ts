/**
 * Redeeming in a world: what a node redeems with (the redeemer and the policy of src/ledger), who asks it to, and what is true of
 * it. The ledger pays each drop once, for claims that are durable; and whatever it did, the node's records say.
 */
import { redeemable } from '../../src/channel/row.ts';
import { autoRedeemer } from '../../src/ledger/auto-redeemer.ts';
import type { Redemption } from '../../src/ledger/redemption-journal.ts';
import type { LedgerRedeemer } from '../../src/ledger/service.ts';
import type { LedgerTransaction } from '../../src/ledger/signing.ts';
import type { Logger } from '../../src/log.ts';
import type { SideTables } from '../../src/registry/side-tables.ts';
import type { Clock } from '../../src/system/system.ts';
import type { Ledger, Submitted } from '../support/ledger/chain.ts';
import { sha512Half } from '../support/ledger/entries.ts';
import { channelOf, seen, touched } from '../support/ledger/port-views.ts';
import { blobOf, hex, PAYEE, SimulatedLedger } from './ledger.ts';
import type { LedgerLink } from './ledger-link.ts';
import type { SimulatedNode } from './node.ts';
import type { ChannelTruth, Terms } from './truth.ts';
import type { World } from './world.ts';

const FEE_MAX = 1_000n;
const FEE = 10n;
const HISTORY_MAX = 10_000;
const ROUNDS_MAX = 200;
const SWEEPS_MAX = 20;
/** Answers after which it is asked again, and nothing is known to have happened. */
const AGAIN = [
  'LEDGER_UNREACHABLE',
  'REGISTRY_FULL',
  'REGISTRY_FAILED',
  'NODE_STOPPING',
  'NODE_FAILED',
  'NODE_BUSY',
  'CHANNEL_UNKNOWN',
];

/** What one life of a node redeems with. */
export interface NodeRedeemer extends LedgerRedeemer {
  readonly link: LedgerLink;
  pending(): Redemption[];
}

interface RedeemerParts {
  node: SimulatedNode;
  tables: SideTables;
  clock: Clock;
  logger: Logger;
}

export class Redemptions {
  readonly ledger: SimulatedLedger;
  readonly #world: World;
  readonly #truths: readonly ChannelTruth[];
  readonly #byLedgerId = new Map<string, ChannelTruth>();
  /** Drops that the ledger has paid out, by ledger channel, and the transactions that did it. */
  readonly #paidOut = new Map<string, bigint>();
  readonly #paidBy = new Map<string, bigint>();
  /** Calls of this life that have no answer yet. */
  #asking = 0;

  constructor(world: World, truths: readonly ChannelTruth[]) {
    this.#world = world;
    this.#truths = truths;
    for (const truth of truths) this.#byLedgerId.set(hex(truth.ledgerChannelId), truth);
    this.ledger = new SimulatedLedger(world, truths);
    this.ledger.onClosed = (ledger) => this.#closed(ledger);
    this.ledger.onSubmitted = (submitted) => this.#submitted(submitted);
  }

  begin(): void {
    this.ledger.begin();
    this.#world.repeat(this.#world.plan.lifeMs / 6, () => {
      const { node, chance } = this.#world;
      if (node?.isReady && this.#world.strikes('redemptions'))
        this.#ask(node, chance.of(this.#truths), chance.is(0.05));
    });
  }

  /** As the ledger service puts them together. */
  open({ node, tables, clock, logger }: RedeemerParts): NodeRedeemer {
    this.#asking = 0;
    const world = this.#world;
    const { chance } = world;
    const link = this.ledger.connect(node.main);
    const wallet = {
      address: PAYEE.address,
      sign: async (transaction: LedgerTransaction) => {
        await new Promise((resolve) => setTimeout(resolve, chance.fraction()));
        const blob = blobOf({ ...transaction, SigningPubKey: PAYEE.publicKey });
        return { blob, hash: sha512Half(blob) };
      },
    };
    const control = {
      channel: (channelId: bigint) => node.store.get(channelId),
      closeChannel: (channelId: bigint) => this.#close(node, channelId),
    };
    const policy = chance.is(0.5) ? { aboveDrops: BigInt(chance.between(1, 3_000)) } : { everySeconds: 1 };
    const options = { control, connection: link, tables, wallet, clock, logger, feeMaxDrops: FEE_MAX, policy };
    const redeemer = autoRedeemer(options, {
      states: () => this.#states(),
      onChange: () => () => {},
      paid: async () => {},
    });
    const pending = () =>
      (redeemer.redemptions(HISTORY_MAX) as Redemption[]).filter(({ state }) => state === 'pending');
    const earlier = pending();
    if (earlier.length > 0)
      world.happened('redemption.resumed', () => earlier.map(({ hash }) => hash.slice(0, 8)).join());
    return { ...redeemer, link, pending };
  }

  /** A life has ended otherwise than by a stop. */
  crashed({ redeemer }: SimulatedNode): void {
    const cutOff = redeemer?.pending().find(({ hash }) => this.ledger.reached.has(hash));
    if (cutOff !== undefined) this.#world.happened('redemption.cut-off', () => cutOff.hash.slice(0, 8));
  }

  *#states() {
    for (const truth of this.#truths) {
      const entry = truth.profile === 'xrpl' ? this.ledger.channel(truth) : undefined;
      if (entry === undefined) continue;
      const { amount, balance, settleDelay, expiration, cancelAfter } = channelOf(entry);
      const { closedAt } = seen(this.ledger.chain.last);
      const amounts = { channelId: truth.channelId, deposited: amount, redeemed: balance };
      yield { ...amounts, settleDelay, expiration, cancelAfter, seenAt: closedAt, exists: true };
    }
  }

  /** The redeemer closes a channel before it closes it on the ledger: a change like the operator's. */
  async #close(node: SimulatedNode, channelId: bigint) {
    const truth = this.#truths.find((each) => each.channelId === channelId)!;
    while (truth.isChanging) await new Promise((resolve) => setTimeout(resolve, 1));
    const { now } = truth;
    const closed: Terms = { ...now, state: 'closed' };
    truth.isChanging = true;
    truth.terms = [now, closed];
    try {
      const channel = await node.store.close(channelId);
      truth.terms = [closed];
      truth.isChanging = false;
      this.#world.happened('redemption.closed-channel', () => truth.name);
      return channel;
    } catch (error) {
      truth.isChanging = false;
      // A registry that has failed may have it or not: the next start shows.
      if (!['REGISTRY_FAILED', 'NODE_FAILED'].includes((error as { code?: string }).code ?? '')) truth.terms = [now];
      throw error;
    }
  }

  #ask(node: SimulatedNode, truth: ChannelTruth, close: boolean): void {
    if (truth.now.state === 'none' || (close && truth.isChanging)) return;
    const world = this.#world;
    this.#asking++;
    world.trace.note(() => `redeems ${truth.name}${close ? ', and closes it' : ''}`);
    node
      .call(() => node.redeemer!.redeem(truth.channelId, { close }))
      .then(
        ({ outcome, paid, reason, hash }) => {
          if (node.isDead) return;
          this.#asking--;
          world.trace.note(() => `redeemed ${truth.name}: ${outcome}, ${paid}, ${reason}`);
          if (outcome !== 'paid') return;
          if (hash === null || !(this.#paidBy.get(hash)! >= paid))
            world.violated('what is said to be paid is paid', `${truth.name}: ${paid} by ${hash}`);
        },
        (error: Error & { code?: string }) => {
          if (node.isDead) return;
          this.#asking--;
          world.trace.note(() => `not redeemed ${truth.name}: ${error.message}`);
          if (!AGAIN.includes(error.code ?? ''))
            world.violated('who redeems is answered', `${truth.name}: ${error.stack}`);
        },
      );
  }

  /** Money may follow from it: it has to be durable, and nothing that the ledger would refuse. */
  #submitted({ tx, code }: Submitted & { code: string }): void {
    const world = this.#world;
    const truth = this.#byLedgerId.get(tx.Channel!);
    const where = () => `${truth?.name}: ${JSON.stringify(tx)}, ${code}`;
    if (truth === undefined || code.startsWith('tem')) {
      world.violated('only what the ledger takes is submitted', where());
      return;
    }
    if (tx.Amount === undefined) return;
    const amount = BigInt(tx.Amount);
    if (!truth.ordinary.has(amount)) world.violated('only claims that were admissible are redeemed', where());
    if (world.hasForgotten || truth.wasRemoved) return;
    const committed = world.node?.isDead === false ? world.node.store.get(truth.channelId)?.committed : undefined;
    if (committed !== undefined && amount > committed)
      world.violated('redeemed ≤ committed', `${where()}, committed ${committed}`);
    truth.raiseFloor(amount);
  }

  #closed({ transactions }: Ledger): void {
    const world = this.#world;
    for (const applied of transactions) {
      const { tx, hash, result } = applied;
      const channel = touched(applied);
      if (tx.Account !== PAYEE.address || tx.TransactionType !== 'PaymentChannelClaim') continue;
      const where = () => `${hash.slice(0, 8)} ${result} ${JSON.stringify(tx)}`;
      if (result === 'tecUNFUNDED_PAYMENT') world.violated('a claim is redeemed once', where());
      // Its channel may have ended on the ledger meanwhile.
      else if (result !== 'tesSUCCESS' && result !== 'tecNO_TARGET')
        world.violated('only what the ledger takes is submitted', where());
      if (channel === undefined) continue;
      const id = hex(channel.ledgerChannelId);
      const paid = channel.balance - (this.#paidOut.get(id) ?? 0n);
      this.#paidOut.set(id, channel.balance);
      this.#paidBy.set(hash, paid);
      world.totals.redeemed++;
    }
  }

  /** Nothing goes wrong any more: what is worth its fee is redeemed, and the records say what the ledger did. */
  async finish(): Promise<void> {
    const world = this.#world;
    const { scheduler } = world;
    const pass = async (ledgers: number) => {
      const until = this.ledger.chain.last.index + ledgers;
      await scheduler.run(() => this.ledger.chain.last.index >= until, 1e6);
    };
    const isPending = () => this.#asking > 0 || world.node!.redeemer!.pending().length > 0;
    const untilSettled = async () => {
      for (let round = 0; round < ROUNDS_MAX && isPending(); round++) await pass(2);
    };
    await untilSettled();
    // Claims that were late on their way come in between.
    for (
      let round = 0;
      round < SWEEPS_MAX && (round === 0 || this.#truths.some((truth) => this.#gain(truth) > FEE));
      round++
    ) {
      for (const truth of this.#truths) this.#ask(world.node!, truth, false);
      await untilSettled();
    }
    const history = world.node!.redeemer!.redemptions(HISTORY_MAX) as Redemption[];
    if (isPending())
      world.violated(
        'a redemption has an end',
        JSON.stringify(history.filter(({ state }) => state === 'pending').map(({ hash }) => hash)),
      );
    this.#expectRecords(history);
    for (const truth of this.#truths)
      if (this.#gain(truth) > FEE)
        world.violated('in the end all that is worth its fee is redeemed', `${truth.name}: ${this.#gain(truth)} left`);
  }

  #expectRecords(history: readonly Redemption[]): void {
    const world = this.#world;
    const recorded = new Map<string, bigint>();
    const known = new Map(history.map((redemption) => [redemption.hash, redemption]));
    for (const { ledgerChannelId, paid } of history)
      recorded.set(ledgerChannelId, (recorded.get(ledgerChannelId) ?? 0n) + paid);
    for (const [hash, paid] of this.#paidBy) {
      const record = known.get(hash);
      if (record === undefined || record.state === 'never')
        world.violated('what the ledger did is on record', `${hash}: paid ${paid}, record ${record?.state}`);
    }
    for (const [id, paidOut] of this.#paidOut)
      if (recorded.get(id) !== paidOut && !this.#isUncertain(history, id))
        world.violated('what was paid is on record, once', `${id}: ledger ${paidOut}, records ${recorded.get(id)}`);
  }

  /** Nobody can tell what a transaction paid whose ledgers no server knows, once its channel is gone. */
  #isUncertain(history: readonly Redemption[], id: string): boolean {
    return history.some(({ ledgerChannelId, reason }) => ledgerChannelId === id && reason.includes('unknown'));
  }

  /** Drops that redeeming would bring: what the ledger has not paid out, of what is committed and deposited. */
  #gain(truth: ChannelTruth): bigint {
    const entry = this.ledger.channel(truth);
    const channel = this.#world.node!.store.get(truth.channelId);
    const row = channel && redeemable(channel);
    if (entry === undefined || row === undefined || truth.profile !== 'xrpl') return 0n;
    // Without a signature of its own there is nothing to redeem; and what ends is left alone.
    if (truth.raised.has(row.committed) || entry.Expiration !== undefined) return 0n;
    const most = row.committed < BigInt(entry.Amount) ? row.committed : BigInt(entry.Amount);
    return most - BigInt(entry.Balance);
  }
}
