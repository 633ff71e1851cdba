/**
 * Three ways to vouch for many claims of one key, on one core: an ECDSA signature each, one over the root of a tree, and BLS signatures that are
 * added up. What a verifier does per claim, what a signer does, and how many bytes a claim takes in a full datagram.
 *
 * BLS is blst by @chainsafe/blst, with the smaller public keys (48 bytes) and signatures of 96. A datagram of claims carries one added-up signature; as
 * each claim is another message, its check is a hash to the curve and a pairing a claim, whoever signed.
 */
import { createHash } from 'node:crypto';
import { aggregateSignatures, aggregateVerify, type PublicKey, SecretKey, type Signature } from '@chainsafe/blst';
import { sha256 } from '@noble/hashes/sha2.js';
import { CLAIM_BYTES, MERKLE_BLOCK_LEAVES, MERKLE_FRAME_BYTES_MAX, MERKLE_LEAVES_MAX } from '../../protocol/layout.ts';
import { blocksOf, rootPreimage } from '../../protocol/merkle.ts';
import { emptyFrameHead, frameBytes, frameRoot, readFrameHead, writeFrame } from '../../protocol/merkle-frame.ts';
import { Secp256k1Signer } from '../../src/client/keys/signer.ts';
import { assert } from '../../src/errors.ts';
import { RootMaker } from '../../src/load/merkle/root-maker.ts';
import { verifyDigest } from '../../src/verify/noble.ts';
import { createBackend } from '../../src/verify/select.ts';
import { treeHash } from '../../src/verify/tree-hash.ts';
import type { Figures } from '../harness.ts';
import {
  BATCH,
  coreSeconds,
  hasAddon,
  KEY_CACHE_BYTES,
  SignedRing,
  seeded,
  type VerdictSum,
} from '../verify/claims.ts';

const ECDSA_CLAIMS = 8_192;
const WARM_SECONDS = 3;
const BLS_CLAIMS = 64;
const SIGNED = 32;
/** Handle and amount, as in a Merkle batch's frame, and the head of one. */
const BLS_CLAIM_BYTES = 16;
const BLS_HEAD_BYTES = 20 + 96;

/** Every claim's verdict is looked at; the sum of them is the caller's to print. */
export function measureSchemes(sum: VerdictSum): Figures {
  return { ...measureEcdsa(sum), ...measureMerkle(sum), ...measureBls(sum) };
}

function measureEcdsa(sum: VerdictSum): Figures {
  const signed = new SignedRing(sum, 1, 0);
  const make = () =>
    createBackend(hasAddon ? 'native' : 'noble', signed.arena, signed.ring, signed.table, {
      cacheBytes: KEY_CACHE_BYTES,
      threads: 1,
      thread: 0,
    });
  const backend = signed.warm(make, 1, WARM_SECONDS);
  const signer = new Secp256k1Signer(seeded('scheme'));
  const digests = Array.from({ length: SIGNED }, (_, index) => seeded(`digest ${index}`));
  const signing = coreSeconds(() => {
    for (const digest of digests) signer.sign(digest);
  });
  return {
    'schemes.ecdsa.claimsPerSecond': signed.pass(backend, BATCH, ECDSA_CLAIMS),
    'schemes.ecdsa.bytesPerClaim': CLAIM_BYTES,
    'schemes.ecdsa.signNs': (signing * 1e9) / SIGNED,
  };
}

/** A whole tree: every frame is judged by itself, the root's signature once. */
function measureMerkle(sum: VerdictSum): Figures {
  const leaves = MERKLE_LEAVES_MAX;
  const ids = new Uint8Array(leaves * 32);
  const handles = new Uint8Array(leaves * 8);
  for (let leaf = 0; leaf < leaves; leaf++) {
    ids.set(createHash('sha256').update(`leaf ${leaf}`).digest(), leaf * 32);
    handles.set(ids.subarray(leaf * 32, leaf * 32 + 8), leaf * 8);
  }
  const signer = new Secp256k1Signer(seeded('scheme'));
  const hash = treeHash();
  const maker = new RootMaker(ids, handles, { sequence: 0, amount: 0 }, hash, (preimage) =>
    signer.signMessage(preimage),
  );
  const signing = coreSeconds(() => {
    while (maker.step());
  });
  const tree = maker.take()!;
  const frames = Array.from({ length: blocksOf(leaves) }, (_, block) => {
    const frame = new Uint8Array(MERKLE_FRAME_BYTES_MAX);
    return frame.subarray(0, writeFrame(tree, block, frame, 0));
  });
  // One frame is spoilt: it leads to another root.
  frames[7]![90]! ^= 0;
  frames[9]![84 + 15]! ^= 1;
  const head = emptyFrameHead();
  const root = new Uint8Array(32);
  let expected = '';
  let valid = 0;
  const verifying = coreSeconds(() => {
    for (const [block, frame] of frames.entries()) {
      assert(readFrameHead(frame, 0, frame.length, head), 'the frame is whole');
      frameRoot(frame, 0, head, ids.subarray(block * 2_048, block * 2_048 + 2_048), root, 0, hash);
      const led = Buffer.from(root).toString('latin1');
      if (expected === '') {
        const digest = sha256(rootPreimage(root, head.leaves, head.sequence, frame.slice(12, 20)));
        assert(verifyDigest(frame.slice(20, 84), digest, signer.publicKey), 'the root is signed');
        expected = led;
      }
      if (led === expected) valid += 1;
    }
  });
  assert(valid === frames.length - 1, 'every frame but the spoilt one leads to the signed root');
  for (let frame = 0; frame < frames.length; frame++) sum.add(frame !== 9);
  return {
    'schemes.merkle.claimsPerSecond': leaves / verifying,
    'schemes.merkle.bytesPerClaim': frameBytes(0, leaves) / MERKLE_BLOCK_LEAVES,
    'schemes.merkle.signNs': (signing * 1e9) / leaves,
  };
}

function measureBls(sum: VerdictSum): Figures {
  const key = SecretKey.fromKeygen(seeded('bls'));
  const publicKeys: PublicKey[] = Array.from({ length: BLS_CLAIMS }, () => key.toPublicKey());
  const messages = Array.from({ length: BLS_CLAIMS }, (_, index) => seeded(`claim ${index}`));
  let signatures: Signature[] = [];
  const signing = coreSeconds(() => {
    signatures = messages.map((message) => key.sign(message));
  });
  const whole = aggregateSignatures(signatures);
  const spoilt = aggregateSignatures(signatures.slice(1));
  let verdicts: boolean[] = [];
  const verifying = coreSeconds(() => {
    verdicts = [whole, spoilt].map((signature) => aggregateVerify(messages, publicKeys, signature));
  });
  assert(
    verdicts[0] === true && verdicts[1] === false,
    'the sum of all signatures holds, and that of the others does not',
  );
  for (const verdict of verdicts) sum.add(verdict);
  return {
    'schemes.bls.claimsPerSecond': (2 * BLS_CLAIMS) / verifying,
    'schemes.bls.bytesPerClaim': BLS_CLAIM_BYTES + BLS_HEAD_BYTES / BLS_CLAIMS,
    'schemes.bls.signNs': (signing * 1e9) / BLS_CLAIMS,
  };
}
