/**
 * A ledger in memory, and connections to it, with a clock that the test moves. It signs nothing and checks no rules: the
 * test says what is on it. Test's thread. (test/support/ledger is the one that speaks rippled's protocol.)
 */
import { ClaimwireError } from '../../src/errors.ts';
import type {
  FinalTransaction,
  LedgerAccount,
  LedgerChannel,
  LedgerConnection,
  Submission,
  ValidatedLedger,
} from '../../src/ledger/ledger-port.ts';
import type { Clock } from '../../src/system/system.ts';

/** Time that the test moves. */
export class FakeClock implements Clock {
  #ms: number;
  readonly #timers = new Set<{ periodMs: number; at: number; callback: () => void }>();

  constructor(startSeconds = 1_800_000_000) {
    this.#ms = startSeconds * 1_000;
  }

  wall(): number {
    return this.#ms;
  }
  monotonic(): number {
    return this.#ms;
  }
  get seconds(): number {
    return Math.floor(this.#ms / 1_000);
  }
  every(periodMs: number, callback: () => void): () => void {
    const timer = { periodMs, at: this.#ms + periodMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves time on at once: each timer whose time has come runs once, then what it began has its turns. */
  async advance(seconds: number): Promise<void> {
    this.#ms += seconds * 1_000;
    for (const timer of this.#timers) {
      if (timer.at > this.#ms) continue;
      timer.at = this.#ms + timer.periodMs;
      timer.callback();
    }
    await settle();
  }
}

/** Lets everything that waits for nothing but its turn happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise(setImmediate);
}

/** What is validated. */
export class FakeLedger {
  readonly clock: FakeClock;
  readonly channels = new Map<string, LedgerChannel>();
  networkId = 0;
  index = 1_000;
  #closedAt: number;
  readonly #connections = new Set<FakeLedgerConnection>();

  constructor(clock: FakeClock) {
    this.clock = clock;
    this.#closedAt = clock.seconds;
  }

  get validated(): ValidatedLedger {
    return { index: this.index, closedAt: this.#closedAt };
  }

  connect(url = 'wss://fake-1'): FakeLedgerConnection {
    const connection = new FakeLedgerConnection(this, url);
    this.#connections.add(connection);
    return connection;
  }

  /** Closes a ledger with this channel in it; `undefined` takes the channel away. Tells connections that watch it. */
  put(ledgerChannelId: Uint8Array, channel: LedgerChannel | undefined): void {
    const id = Buffer.from(ledgerChannelId).toString('hex');
    if (channel === undefined) this.channels.delete(id);
    else this.channels.set(id, channel);
    this.close();
    for (const connection of this.#connections) connection.touch(ledgerChannelId);
  }

  /** Closes a ledger, now. */
  close(): void {
    this.index++;
    this.#closedAt = Math.max(this.#closedAt + 1, this.clock.seconds);
  }
}

export class FakeLedgerConnection implements LedgerConnection {
  readonly ledger: FakeLedger;
  #url: string;
  isReachable = true;
  /** Whether it tells of transactions. */
  isSubscribed = true;
  /** Questions asked so far, by name. */
  readonly asked: string[] = [];
  /** So many questions fail from now on. */
  failures = 0;
  /** Answers what was so when it was set, as a server that is behind does. */
  behind: { validated: ValidatedLedger; channels: LedgerChannel[] } | undefined;
  readonly #listeners = new Set<(ledgerChannelId: Uint8Array) => void>();

  constructor(ledger: FakeLedger, url: string) {
    this.ledger = ledger;
    this.#url = url;
  }

  get url(): string | undefined {
    return this.isReachable ? this.#url : undefined;
  }
  set url(url: string) {
    this.#url = url;
  }
  get validated(): ValidatedLedger {
    return this.ledger.validated;
  }

  async networkId(): Promise<number> {
    await this.#answer('networkId');
    return this.ledger.networkId;
  }
  async channel(ledgerChannelId: Uint8Array) {
    await this.#answer('channel');
    const id = Buffer.from(ledgerChannelId);
    const channel = this.#channels().find((other) => id.equals(other.ledgerChannelId));
    return { ledger: this.behind?.validated ?? this.ledger.validated, channel: channel && { ...channel } };
  }
  async channelsTo(account: string) {
    await this.#answer('channelsTo');
    const channels = this.#channels().filter(({ destination }) => destination === account);
    return { ledger: this.behind?.validated ?? this.ledger.validated, channels: channels.map((one) => ({ ...one })) };
  }
  account(): Promise<LedgerAccount | undefined> {
    throw new Error('not on this ledger');
  }
  fee(): Promise<bigint> {
    throw new Error('not on this ledger');
  }
  submit(): Promise<Submission> {
    throw new Error('not on this ledger');
  }
  transaction(): Promise<FinalTransaction | undefined> {
    throw new Error('not on this ledger');
  }
  knowsLedgers(): Promise<boolean> {
    throw new Error('not on this ledger');
  }
  onLedger(): () => void {
    return () => {};
  }
  onChannelTouched(_account: string, listener: (ledgerChannelId: Uint8Array) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  async close(): Promise<void> {
    this.isReachable = false;
  }

  touch(ledgerChannelId: Uint8Array): void {
    if (this.isReachable && this.isSubscribed) for (const listener of this.#listeners) listener(ledgerChannelId);
  }

  #channels(): LedgerChannel[] {
    return this.behind?.channels ?? [...this.ledger.channels.values()];
  }

  async #answer(question: string): Promise<void> {
    this.asked.push(question);
    await new Promise(setImmediate);
    if (this.isReachable && this.failures === 0) return;
    if (this.failures > 0) this.failures--;
    throw new ClaimwireError('LEDGER_UNREACHABLE', 'ledger: expected a server, got none');
  }
}
