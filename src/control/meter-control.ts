/**
 * What a running node lets a service do with the claims it committed: watch them, wait for them, charge against them. By
 * library calls, HTTP (src/http) and the gateway. node.ts implements it. Main thread, never on the claim path.
 */

/** Channels whose committed amount has grown, each once with its newest amount. Valid during the listener's call only. */
export interface CommittedBatch {
  readonly length: number;
  /** The handle of the channel at `index`. */
  channelId(index: number): bigint;
  /** Drops, cumulative and durable. */
  committed(index: number): bigint;
}

/** A charge that is durable. */
export interface ChargeResult {
  channelId: bigint;
  /** Drops of this charge; negative for a refund. */
  drops: bigint;
  /** As `spent` tells it, this charge included. Never above `committed`. */
  spent: bigint;
  committed: bigint;
  /** True where a charge with this key had been made before: nothing was charged again. */
  repeated: boolean;
}

/** What became of a submitted claim. */
export interface SubmitResult {
  /** The name of the status as the protocol has it: COMMITTED, ALREADY, or a refusal such as BAD_SIGNATURE. */
  status: string;
  /** Drops committed on the channel now; 0 where it is not known. */
  committed: bigint;
}

/** Charges against committed amounts, and news of them. */
export interface MeterControl {
  /**
   * Charges `drops` on a channel: resolves when the committed amount covers everything charged so far and this, and the
   * charge is durable. Negative drops refund at most what was charged.
   *
   * @param options.key idempotency key, 1 to 64 characters: a charge with the same channel and key is made once. The same
   *   key with other drops rejects with CHARGE_CONFLICT
   * @param options.wait false: rejects at once with PAYMENT_REQUIRED, which tells what is missing, instead of waiting for it
   * @param options.onReserved is called before this call returns, where the charge will be made unless its commit fails: with
   *   what is then spent, or less. For who can begin what was paid for, and hold it back until this resolves
   * @throws ClaimwireError CHANNEL_UNKNOWN, INPUT_INVALID, PAYMENT_REQUIRED, CHARGE_CONFLICT, NODE_BUSY (too many wait)
   */
  charge(
    channelId: bigint,
    drops: bigint,
    options?: {
      key?: string | undefined;
      wait?: boolean;
      signal?: AbortSignal | undefined;
      onReserved?: ((spent: bigint) => void) | undefined;
    },
  ): Promise<ChargeResult>;
  /**
   * Drops of a channel that buy nothing more: charged in all, or paid out by the ledger for claims that were made elsewhere.
   * Who claims a price more than this can pay that price.
   */
  spent(channelId: bigint): bigint;
  /** Resolves with the committed amount once it is at least `drops`. Rejects with CHANNEL_UNKNOWN, NODE_BUSY or the signal's reason. */
  waitForAmount(channelId: bigint, drops: bigint, options?: { signal?: AbortSignal | undefined }): Promise<bigint>;
  /** Calls `listener` with batches of channels whose committed amount has grown. Returns a function that ends it. */
  onCommitted(listener: (batch: CommittedBatch) => void): () => void;
  /** Hands a 93-byte claim to the claim path: the same rules and the same durability as one that came by UDP. */
  submit(claim: Uint8Array, options?: { signal?: AbortSignal | undefined }): Promise<SubmitResult>;
}
