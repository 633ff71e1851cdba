/**
 * The audit of a journal's frames: whether each leads to a root that the registered key of its channels has signed. Main thread of a tool:
 * a frame has one signature for up to 64 leaves, so they need no workers.
 */
import {
  ED25519_KEY_PREFIX,
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_BLOCK_LEAVES,
  MERKLE_HASH_BYTES,
  MERKLE_SIGNATURE,
  MERKLE_TIMESTAMP,
  PROFILE_LINK,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { rootPreimage, type TreeHash } from '../../protocol/merkle.ts';
import { emptyFrameHead, frameLeafAt, frameRoot, readFrameHead } from '../../protocol/merkle-frame.ts';
import { Ed25519Verifier } from '../verify/ed25519.ts';
import { OpensslVerifier } from '../verify/openssl.ts';
import { treeHash } from '../verify/tree-hash.ts';

/** What is registered of a channel: key, ledger id and profile, one after the other. False where it is not. */
type CopyKey = (channelId: bigint, target: Uint8Array, offset: number) => boolean;

const ENTRY_BYTES = PUBLIC_KEY_BYTES + LEDGER_CHANNEL_ID_BYTES + 1;

export class FrameAudit {
  readonly #copyKey: CopyKey;
  readonly #hash: TreeHash = treeHash();
  readonly #head = emptyFrameHead();
  readonly #ids = new Uint8Array(MERKLE_BLOCK_LEAVES * LEDGER_CHANNEL_ID_BYTES);
  readonly #entry = new Uint8Array(ENTRY_BYTES);
  readonly #root = new Uint8Array(MERKLE_HASH_BYTES);
  readonly #secp256k1 = new OpensslVerifier();
  readonly #ed25519 = new Ed25519Verifier();

  constructor(copyKey: CopyKey) {
    this.#copyKey = copyKey;
  }

  /** Why the frame at `bytes[at]` shows nothing, or undefined where it is signed. It was found sound by its form. */
  fault(bytes: Uint8Array, at: number, length: number): string | undefined {
    const head = this.#head;
    if (!readFrameHead(bytes, at, at + length, head)) return 'expected a frame, got something else';
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let key: Uint8Array | undefined;
    for (let leaf = 0; leaf < head.count; leaf++) {
      if (!this.#copyKey(view.getBigUint64(frameLeafAt(at, leaf)), this.#entry, 0))
        return 'expected registered channels, got a leaf of none';
      const own = this.#entry.subarray(0, PUBLIC_KEY_BYTES);
      key ??= own.slice();
      if (Buffer.compare(key, own) !== 0) return 'expected leaves of one key, got several';
      const id = this.#entry.subarray(PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES + LEDGER_CHANNEL_ID_BYTES);
      this.#ids.set(id, leaf * LEDGER_CHANNEL_ID_BYTES);
    }
    frameRoot(bytes, at, head, this.#ids, this.#root, 0, this.#hash);
    const bytesOf = (start: number, size: number) => bytes.subarray(at + start, at + start + size);
    const preimage = rootPreimage(this.#root, head.leaves, head.sequence, bytesOf(MERKLE_TIMESTAMP, 8));
    const signature = bytesOf(MERKLE_SIGNATURE, SIGNATURE_BYTES);
    // A root's digest is made as that of a claim of the profile link: SHA-256.
    const isSigned =
      key![0] === ED25519_KEY_PREFIX
        ? this.#ed25519.verify(preimage, signature, key!)
        : this.#secp256k1.verify(PROFILE_LINK, preimage, signature, key!);
    return isSigned ? undefined : 'expected a root signed by the registered key, got another';
  }
}
