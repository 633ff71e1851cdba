/**
 * Judges frames of Merkle batches in the pool: which root each leads to, and whether the key of its channels has signed that.
 * One instance per verifying thread.
 *
 * The roots of a batch that are not known yet are checked in one call, as claims are. Everything that a frame states is hashed or compared; a
 * frame whose channels have different keys is invalid, since a root is signed by one.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import {
  ED25519_KEY_PREFIX,
  MERKLE_FRAME_BYTES_MAX,
  MERKLE_LEAVES,
  MERKLE_SIGNATURE,
  MERKLE_TIMESTAMP,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { rootPreimage, type TreeHash } from '../../protocol/merkle.ts';
import { emptyFrameHead, frameRoot, readFrameHead } from '../../protocol/merkle-frame.ts';
import { type ChannelTable, HOT_KEY } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import { arenaLayout } from '../ring/arena-layout.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import {
  ENTRY_COUNT,
  ENTRY_FRAME,
  ENTRY_ROWS,
  ENTRY_SIZE,
  ENTRY_VERDICT,
  FRAME_INVALID,
  FRAME_PENDING,
  FRAME_VALID,
} from '../ring/frame-pool.ts';
import { plainVerdict, VERDICT_VALID } from '../ring/slot.ts';
import { Ed25519Verifier } from './ed25519.ts';
import { KERNEL_PATHS, type Kernel } from './kernel.ts';
import { verifyDigest } from './noble.ts';
import { type MerkleFrames, treeHash } from './tree-hash.ts';
import { VerifiedRoots } from './verified-roots.ts';

const CHECKED = counterIndex('roots.checked');
const FAILED = counterIndex('roots.failed');

/** Frames judged in one call: as many as a batch of slots can have. */
export const FRAMES_MAX = 4_096;
const PREIMAGE_BYTES = 64;
/** Where C finds the rows and the frame in an entry, and how long the longest is. */
const PLACES = Uint32Array.of(ENTRY_ROWS * 4, ENTRY_FRAME, ENTRY_FRAME + MERKLE_FRAME_BYTES_MAX);
const DIGEST_BYTES = 32;
const DIGEST_WORDS = DIGEST_BYTES / 4;
const KEY_NONE = 0xffff_ffff;
/** In place of a check's number: the root is known to be signed; its channels have different keys. */
const KNOWN = -1;
const UNSIGNED = -2;
/** In place of a check's result: its signature is among those that `verifyMany` is given. */
const ASKED = 2;

/** Checks secp256k1 signatures of digests, `verdicts.length` of them: 1 is valid. */
type VerifyMany = (digests: Uint8Array, signatures: Uint8Array, keys: Uint8Array, verdicts: Uint8Array) => void;

export class FrameJudge {
  readonly #arena: Arena;
  readonly #table: ChannelTable;
  readonly #counters: Counters;
  readonly #verifyMany: VerifyMany;
  readonly #ed25519 = new Ed25519Verifier();
  readonly #hash: TreeHash = treeHash();
  readonly #native: MerkleFrames | undefined;
  readonly #layout: Uint32Array;
  readonly #roots: VerifiedRoots;
  readonly #head = emptyFrameHead();
  readonly #ids = new Uint8Array(64 * 32);
  readonly #root = new Uint8Array(DIGEST_BYTES);
  /** Of the frames at hand that have no verdict: entry, key, preimage and digest of the root. */
  readonly #entries = new Uint32Array(FRAMES_MAX);
  readonly #keys = new Uint32Array(FRAMES_MAX);
  readonly #preimages = new Uint8Array(FRAMES_MAX * PREIMAGE_BYTES);
  readonly #digests = new Uint8Array(FRAMES_MAX * DIGEST_BYTES);
  readonly #digestWords = new Uint32Array(this.#digests.buffer);
  /** The number of the check that decides each, or KNOWN or UNSIGNED. */
  readonly #checkOf = new Int32Array(FRAMES_MAX);
  /** Of the checks: the frame whose root it is, whether it was good, and what `verifyMany` is given. */
  readonly #checked = new Uint32Array(FRAMES_MAX);
  readonly #isGood = new Uint8Array(FRAMES_MAX);
  readonly #checkDigests = new Uint8Array(FRAMES_MAX * DIGEST_BYTES);
  readonly #checkSignatures = new Uint8Array(FRAMES_MAX * SIGNATURE_BYTES);
  readonly #checkKeys = new Uint8Array(FRAMES_MAX * PUBLIC_KEY_BYTES);
  readonly #verdicts = new Uint8Array(FRAMES_MAX);

  /**
   * @param kernel checks signatures; without one noble does
   * @param native computes the roots of frames in C, where it is wanted and there
   */
  constructor(
    arena: Arena,
    ring: ClaimRing,
    table: ChannelTable,
    counters: Counters,
    kernel: Kernel | undefined,
    seed: number,
    native: MerkleFrames | undefined,
  ) {
    this.#native = native;
    this.#layout = arenaLayout(arena, ring);
    this.#arena = arena;
    this.#table = table;
    this.#counters = counters;
    this.#verifyMany = kernel === undefined ? verifyByNoble : verifyBy(kernel);
    this.#roots = new VerifiedRoots(seed);
  }

  /** Gives each of the `count` entries (byte offsets in the arena) its verdict, unless it has one. */
  judge(entries: Uint32Array, count: number): void {
    const { ints } = this.#arena;
    let pending = 0;
    for (let index = 0; index < count; index++) {
      const entry = entries[index]!;
      if (Atomics.load(ints, (entry >>> 2) + ENTRY_VERDICT) === FRAME_PENDING) this.#entries[pending++] = entry;
    }
    if (pending === 0) return;
    if (this.#native !== undefined) {
      const { bytes } = this.#arena;
      this.#native(bytes, this.#layout, this.#entries, pending, PLACES, this.#keys, this.#preimages, this.#digests);
    } else for (let index = 0; index < pending; index++) this.#digest(index);
    const checks = this.#gather(pending);
    if (checks > 0) this.#check(checks);
    for (let index = 0; index < pending; index++) {
      const check = this.#checkOf[index]!;
      const isValid = check === KNOWN || (check !== UNSIGNED && this.#isGood[check] === 1);
      const verdict = isValid ? FRAME_VALID : FRAME_INVALID;
      // Two verifiers with leaves of one frame judge it alike; it is counted once.
      const before = Atomics.compareExchange(
        ints,
        (this.#entries[index]! >>> 2) + ENTRY_VERDICT,
        FRAME_PENDING,
        verdict,
      );
      if (before === FRAME_PENDING && !isValid) this.#counters.add(FAILED, 1);
    }
  }

  /** Computes the root's preimage and digest of pending frame `index`, and finds its key. */
  #digest(index: number): void {
    const { bytes, words } = this.#arena;
    const entry = this.#entries[index]!;
    const word = entry >>> 2;
    const frame = entry + ENTRY_FRAME;
    const count = words[word + ENTRY_COUNT]!;
    const key = this.#keyOf(words[word + ENTRY_ROWS]!);
    this.#keys[index] = key;
    for (let leaf = 0; leaf < count; leaf++) {
      const row = words[word + ENTRY_ROWS + leaf]!;
      if (this.#keyOf(row) !== key) this.#keys[index] = KEY_NONE;
      this.#ids.set(this.#table.ledgerId(row), leaf * 32);
    }
    readFrameHead(bytes, frame, frame + words[word + ENTRY_SIZE]!, this.#head);
    frameRoot(bytes, frame, this.#head, this.#ids, this.#root, 0, this.#hash);
    const timestamp = bytes.slice(frame + MERKLE_TIMESTAMP, frame + MERKLE_TIMESTAMP + 8);
    const leaves = this.#arena.view.getUint32(frame + MERKLE_LEAVES);
    const preimage = rootPreimage(this.#root, leaves, this.#head.sequence, timestamp);
    this.#preimages.set(preimage, index * PREIMAGE_BYTES);
    this.#digests.set(sha256(preimage), index * DIGEST_BYTES);
  }

  /** Collects the roots that are not known, each once in a row; returns how many there are. */
  #gather(pending: number): number {
    let checks = 0;
    for (let index = 0; index < pending; index++) {
      if (this.#keys[index] === KEY_NONE) this.#checkOf[index] = UNSIGNED;
      else if (this.#isKnown(index)) this.#checkOf[index] = KNOWN;
      else {
        if (checks === 0 || !this.#isSame(this.#checked[checks - 1]!, index)) this.#checked[checks++] = index;
        this.#checkOf[index] = checks - 1;
      }
    }
    return checks;
  }

  /** Checks the signatures of the collected roots, and remembers those that are valid. */
  #check(checks: number): void {
    this.#counters.add(CHECKED, checks);
    let many = 0;
    for (let check = 0; check < checks; check++) {
      const index = this.#checked[check]!;
      const key = this.#table.publicKey(this.#keys[index]!);
      if (key[0] === ED25519_KEY_PREFIX) {
        const preimage = this.#preimages.slice(index * PREIMAGE_BYTES, (index + 1) * PREIMAGE_BYTES);
        this.#isGood[check] = this.#ed25519.verify(preimage, this.#signature(index).slice(), key.slice()) ? 1 : 0;
        continue;
      }
      const digest = this.#digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
      this.#checkDigests.set(digest, many * DIGEST_BYTES);
      this.#checkSignatures.set(this.#signature(index), many * SIGNATURE_BYTES);
      this.#checkKeys.set(key, many * PUBLIC_KEY_BYTES);
      this.#isGood[check] = ASKED;
      many++;
    }
    if (many > 0)
      this.#verifyMany(this.#checkDigests, this.#checkSignatures, this.#checkKeys, this.#verdicts.subarray(0, many));
    for (let check = 0, asked = 0; check < checks; check++) {
      if (this.#isGood[check] === ASKED)
        this.#isGood[check] = plainVerdict(this.#verdicts[asked++]!) === VERDICT_VALID ? 1 : 0;
      if (this.#isGood[check] === 1) this.#remember(this.#checked[check]!);
    }
  }

  #keyOf(row: number): number {
    return this.#table.words[this.#table.hot(row) + HOT_KEY]!;
  }
  #signature(index: number): Uint8Array {
    const at = this.#entries[index]! + ENTRY_FRAME + MERKLE_SIGNATURE;
    return this.#arena.bytes.subarray(at, at + SIGNATURE_BYTES);
  }
  #signatureWord(index: number): number {
    return (this.#entries[index]! + ENTRY_FRAME + MERKLE_SIGNATURE) >>> 2;
  }
  #isKnown(index: number): boolean {
    const signature = this.#signatureWord(index);
    return this.#roots.has(this.#digestWords, index * DIGEST_WORDS, this.#arena.words, signature, this.#keys[index]!);
  }
  #remember(index: number): void {
    const signature = this.#signatureWord(index);
    this.#roots.add(this.#digestWords, index * DIGEST_WORDS, this.#arena.words, signature, this.#keys[index]!);
  }
  #isSame(left: number, right: number): boolean {
    if (this.#keys[left] !== this.#keys[right]) return false;
    const digests = this.#digestWords;
    for (let word = 0; word < DIGEST_WORDS; word++)
      if (digests[left * DIGEST_WORDS + word] !== digests[right * DIGEST_WORDS + word]) return false;
    const { words } = this.#arena;
    const [a, b] = [this.#signatureWord(left), this.#signatureWord(right)];
    for (let word = 0; word < SIGNATURE_BYTES / 4; word++) if (words[a + word] !== words[b + word]) return false;
    return true;
  }
}

/** A root alone is the rule, and a call for one signature has less latency. */
function verifyBy(kernel: Kernel): VerifyMany {
  return (digests, signatures, keys, verdicts) =>
    kernel.verifyMany(
      digests,
      signatures,
      keys,
      verdicts,
      verdicts.length === 1 ? KERNEL_PATHS.single : KERNEL_PATHS.batch,
    );
}

function verifyByNoble(digests: Uint8Array, signatures: Uint8Array, keys: Uint8Array, verdicts: Uint8Array): void {
  for (let index = 0; index < verdicts.length; index++)
    verdicts[index] = verifyDigest(
      signatures.subarray(index * SIGNATURE_BYTES, (index + 1) * SIGNATURE_BYTES),
      digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES),
      keys.subarray(index * PUBLIC_KEY_BYTES, (index + 1) * PUBLIC_KEY_BYTES),
    )
      ? 1
      : 0;
}
