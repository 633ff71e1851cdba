/** Leaves of signed roots: the door's rules, what they expose, what is kept of them, and their twins in C. */
import type { Mutation } from '../mutation.ts';

const LEAF_TESTS = 'test/unit/path/leaves.test.ts';
const ROOTED_TESTS = 'test/unit/channel/rooted.test.ts';
const TWIN_TESTS = 'test/differential/native-leaves.test.ts';
const HASH_TESTS = 'test/unit/verify/tree-hash.test.ts';
const INTAKE = 'src/path/leaf-intake.ts';
const STAGE = 'src/path/leaf-stage.ts';
const ROOTED = 'src/channel/rooted.ts';
const LEAF_PATH = 'src/native/leaf_path.c';
const FRAMES = 'src/native/merkle_frames.c';
const HASHES = 'src/native/merkle.c';

export const LEAVES: readonly Mutation[] = [
  {
    name: 'leaves-answered-without-bound',
    file: INTAKE,
    find: 'this.#answers = Math.floor(size / ACK_BYTES);',
    put: 'this.#answers = MERKLE_BLOCK_LEAVES;',
    harm: 'A forged frame has a node send more bytes than it got, to whom it names.',
    killer: { file: LEAF_TESTS, title: 'no more bytes are answered than came' },
  },
  {
    name: 'exposure-unchecked-at-the-door',
    file: INTAKE,
    find: 'if (status === ADMITTED && this.#rooted.mayTake(row, high, low)) return true;',
    put: 'if (status === ADMITTED) return true;',
    harm: 'Leaves that will be refused cost a check of a signature each.',
    killer: { file: LEAF_TESTS, title: 'takes no leaf without an exposure' },
  },
  {
    name: 'unknown-channel-of-a-frame-taken',
    file: INTAKE,
    find: 'if (unknown > 0) this.#refuseUnknown(offset, head.count, unknown);',
    put: 'if (unknown > head.count) this.#refuseUnknown(offset, head.count, unknown);',
    harm: 'Rules are applied to a row that is none.',
    killer: { file: LEAF_TESTS, title: 'a leaf of an unknown channel' },
  },
  {
    name: 'exposure-unchecked-at-the-commit',
    file: STAGE,
    find: 'if (!this.#rooted.reserve(row, high, low)) return STATUS.ROOT_EXPOSURE;',
    put: 'this.#rooted.reserve(row, high, low);',
    harm: 'Leaves of one group owe more together than the operator allows.',
    killer: { file: LEAF_TESTS, title: 'is refused a second leaf of one group' },
  },
  {
    name: 'frame-joins-before-its-leaf',
    file: STAGE,
    find: 'if (!this.#rooted.reserve(row, high, low)) return STATUS.ROOT_EXPOSURE;\n    const frame = this.#frameIn(open, view.getUint32(slot + SLOT_FRAME));',
    put: 'const frame = this.#frameIn(open, view.getUint32(slot + SLOT_FRAME));\n    if (!this.#rooted.reserve(row, high, low)) return STATUS.ROOT_EXPOSURE;',
    harm: 'A frame of which no leaf was taken fills the journal, so who is over the exposure writes to the disk.',
    killer: { file: LEAF_TESTS, title: 'is refused a second leaf of one group' },
  },
  {
    name: 'proof-kept-of-an-older-leaf',
    file: ROOTED,
    find: 'if (isSame) this.#store',
    put: 'if (isSame || segment > 0) this.#store',
    harm: 'A leaf that came while a checkpoint was written counts as kept, and the segment with its only proof is removed.',
    killer: {
      file: 'test/unit/journal/leaf-proofs.test.ts',
      title: 'is kept by the next checkpoint where it comes while one is written',
    },
  },
  {
    name: 'leaf-sequence-again',
    file: STAGE,
    find: 'sequence <= this.#table.sequence(hot)) return false;\n    return isAboveStaged',
    put: 'sequence < this.#table.sequence(hot)) return false;\n    return isAboveStaged',
    harm: 'A payer can sign two amounts under one sequence, and deny the higher one.',
    killer: { file: LEAF_TESTS, title: 'takes a claim that was signed before the newest root' },
  },
  {
    name: 'leaf-sequence-of-the-syncing-group',
    file: STAGE,
    find: 'return isAboveStaged(open, row, sequence) && (syncing === undefined || isAboveStaged(syncing, row, sequence));',
    put: 'return isAboveStaged(open, row, sequence);',
    harm: 'The same while the group before is at the disk.',
    killer: { file: LEAF_TESTS, title: 'is staged by the rules of sequences also while a group is being synced' },
  },
  {
    name: 'frame-failures-by-the-leaf',
    file: STAGE,
    find: 'words[entry + ENTRY_NOTED] = 1;',
    put: '',
    harm: 'One bad frame counts as 64 failures of its source, which is cut off.',
    killer: { file: LEAF_TESTS, title: 'a frame that fails counts as one failure' },
  },
  {
    name: 'root-overwrites-what-redeems',
    file: ROOTED,
    find: 'const version = table.lock(hot);\n    this.#begin(row, hot);',
    put: 'const version = table.lock(hot);',
    harm: 'After a leaf nobody knows which amount the stored signature is for: nothing can be redeemed.',
    killer: { file: ROOTED_TESTS, title: 'keeps the signature of its highest claim on its own' },
  },
  {
    name: 'lower-claim-redeems',
    file: ROOTED,
    find: 'if (!isAbove(high, low, this.words[base + OWN_HIGH]!, this.words[base + OWN_LOW]!)) return true;\n',
    put: '',
    harm: 'A late claim takes the place of a higher one that could be redeemed.',
    killer: { file: ROOTED_TESTS, title: 'takes a claim on its own below what is committed' },
  },
  {
    name: 'exposure-of-a-channel-alone',
    file: ROOTED,
    find: 'return sum - now + then > this.exposureMax;',
    put: 'return then > this.exposureMax;',
    harm: 'A key with a thousand channels owes a thousand times what the operator allows.',
    killer: { file: ROOTED_TESTS, title: 'is of all channels of a key together' },
  },
  {
    name: 'exposure-not-counted-after-a-replay',
    file: ROOTED,
    find: 'if ((table.words[hot + HOT_FLAGS]! & FLAG_ROOTED) !== 0) this.#settle',
    put: 'if ((table.words[hot + HOT_FLAGS]! & FLAG_ROOTED) === 0) this.#settle',
    harm: 'After a restart a key may owe as much again.',
    killer: { file: ROOTED_TESTS, title: 'is never passed, whatever leaves and claims come' },
  },
  {
    name: 'c-leaf-equal-amount-taken-as-new',
    file: LEAF_PATH,
    find: 'amount > committed && amount <= capacity',
    put: 'amount >= committed && amount <= capacity',
    harm: 'A leaf that was paid with before is journaled and answered as a new payment.',
    killer: { file: TWIN_TESTS, title: 'a usual ring' },
  },
  {
    name: 'c-leaf-sequence-unchecked',
    file: LEAF_PATH,
    find: '(!committed || be32(slot + CW_CLAIM_SEQUENCE) > sequence)',
    put: '(!committed || sequence + 1)',
    harm: 'An older root pays after a newer one.',
    killer: { file: TWIN_TESTS, title: 'a leaf whose channel has a newer sequence is left to the steps' },
  },
  {
    name: 'c-leaf-beside-a-sync',
    file: LEAF_PATH,
    find: '(syncing && !is_above_staged(syncing, row, slot))',
    put: '(syncing && !is_above_staged(open, row, slot))',
    harm: 'A leaf for less than what is at the disk is staged, and its lower record is replayed last.',
    killer: { file: TWIN_TESTS, title: 'syncs beside the thread' },
  },
  {
    name: 'c-leaf-bit-of-its-half',
    file: LEAF_PATH,
    find: 'accepted[leaf >> 5] |=',
    put: 'accepted[0] |=',
    harm: 'The journal has the bits of other leaves: after a crash half of a frame is lost.',
    killer: { file: TWIN_TESTS, title: 'all but the first of each frame go through C' },
  },
  {
    name: 'c-leaf-in-the-first-frame',
    file: LEAF_PATH,
    find: 'places->base + places->frame_offsets[frame]',
    put: 'places->base + places->frame_offsets[0]',
    harm: 'A leaf is proven by a frame that it is not in.',
    killer: { file: TWIN_TESTS, title: 'all but the first of each frame go through C' },
  },
  {
    name: 'c-root-overwrites-what-redeems',
    file: LEAF_PATH,
    find: 'put(&of_row[CW_ROOTED_OWN_LOW], hot[CW_HOT_COMMITTED_LOW]);',
    put: '',
    harm: 'The amount of the claim to redeem is another than the one that its signature is for.',
    killer: { file: TWIN_TESTS, title: 'what claims have paid before the first leaf stays what can be redeemed' },
  },
  {
    name: 'c-root-of-several-keys',
    file: FRAMES,
    find: 'if (!is_one_key || key >= a->rows_max) return KEY_NONE;',
    put: 'if (key >= a->rows_max) return KEY_NONE;',
    harm: "The key of a frame's last channel, or any, pays from the channels of others.",
    killer: { file: 'test/unit/path/native-path-suites.test.ts', title: 'leaves' },
  },
  {
    name: 'c-climb-on-the-wrong-side',
    file: FRAMES,
    find: 'if (!is_right && number == last) continue;',
    put: 'if (is_right && number == last) continue;',
    harm: 'Honest frames of uneven batches are refused.',
    killer: { file: TWIN_TESTS, title: 'a usual ring' },
  },
  {
    name: 'c-node-hashed-as-a-leaf',
    file: HASHES,
    find: 'message[0] = 1;',
    put: 'message[0] = 0;',
    harm: 'What is signed as an inner node can be shown as a leaf.',
    killer: { file: HASH_TESTS, title: 'are those of the specification' },
  },
  {
    name: 'c-leaf-without-its-sequence',
    file: HASHES,
    find: 'put_be(block + 43, sequence, 4);',
    put: 'put_be(block + 43, sequence & 0, 4);',
    harm: 'One root proves an amount for every sequence.',
    killer: { file: HASH_TESTS, title: 'are those of the specification' },
  },
];
