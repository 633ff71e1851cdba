/**
 * Answers kept for a while, so that a client whose connection broke may repeat a paid request and get what it paid for.
 * Bounded by bytes and by entries; the oldest go first. Main thread.
 */

/** A whole answer as it went out. */
export interface StoredReply {
  status: number;
  /** Names and values in turn. */
  headers: string[];
  body: Buffer;
}

/** What the answer was for. A repeated request must be the same in all of it. */
export interface ReplyKey {
  /** The charge's key. */
  charge: string;
  /** What only the payer has: its signature or token. */
  proof: string;
  /** Method and URL. */
  request: string;
}

/** Bounds of the answers that are kept, to be given again to a request that is repeated. */
export interface ReplyLimits {
  bytesMax: number;
  entriesMax: number;
  /** A longer answer is not kept. */
  replyBytesMax: number;
}

export const REPLY_LIMITS: ReplyLimits = { bytesMax: 16 << 20, entriesMax: 16_384, replyBytesMax: 16 << 10 };

/** Of an entry's keys and of the entry itself; a generous guess. */
const ENTRY_BYTES = 512;

interface Entry extends ReplyKey {
  /** Resolves when the answer is whole, or with undefined where it is not kept. */
  reply: Promise<StoredReply | undefined>;
  bytes: number;
}

export class Replies {
  readonly limits: ReplyLimits;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(limits: ReplyLimits = REPLY_LIMITS) {
    this.limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }
  get bytes(): number {
    return this.#bytes;
  }

  /** A request that was charged begins; the function returned is called once, with its answer or nothing. */
  begin(key: ReplyKey): (reply?: StoredReply) => void {
    let settle!: (reply: StoredReply | undefined) => void;
    const reply = new Promise<StoredReply | undefined>((resolve) => {
      settle = resolve;
    });
    const entry: Entry = { ...key, reply, bytes: ENTRY_BYTES + key.proof.length + key.request.length };
    this.#entries.set(key.charge, entry);
    this.#bytes += entry.bytes;
    this.#makeRoom();
    return (stored) => {
      const isKept = this.#entries.get(key.charge) === entry;
      if (isKept && stored === undefined) this.#drop(entry);
      if (isKept && stored !== undefined) {
        const bytes = stored.body.length + stored.headers.reduce((sum, text) => sum + text.length, 0);
        entry.bytes += bytes;
        this.#bytes += bytes;
        this.#makeRoom();
      }
      settle(stored);
    };
  }

  /** The answer to the same request, perhaps still under way. Undefined where it is not there or not this request's. */
  find(key: ReplyKey): Promise<StoredReply | undefined> | undefined {
    const entry = this.#entries.get(key.charge);
    return entry?.proof === key.proof && entry.request === key.request ? entry.reply : undefined;
  }

  #makeRoom(): void {
    for (const entry of this.#entries.values()) {
      if (this.#bytes <= this.limits.bytesMax && this.#entries.size <= this.limits.entriesMax) return;
      this.#drop(entry);
    }
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.charge);
    this.#bytes -= entry.bytes;
  }
}
