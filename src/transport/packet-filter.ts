/**
 * The program that a socket gets while a flood lasts: which datagrams may enter its receive buffer. Net thread or lane.
 *
 * It is classic BPF (man 7 socket, SO_ATTACH_FILTER), which needs no rights. The kernel runs it for each message before that
 * takes room: sources in good standing pass, others by chance, those of networks that are held back by a smaller one.
 * A program cannot look into memory, so a set is a bitmap over hashes, and the bitmap a tree of jumps with 32 bits at each
 * leaf. Two sources of one bit pass alike, so each program has another seed. Instructions run forwards only, and are written
 * from the last to the first: so the place of every jump's target is known.
 */
import { SOURCE_WORDS } from '../ring/slot.ts';
import { HASH_WORD, sourceHash, v4Seed, v6Seed } from './source-hash.ts';

/** Codes of linux/bpf_common.h. A is the accumulator, X the index register, M the scratch words. */
export const BPF = {
  loadWord: 0x20, // A = 4 bytes at k, big-endian
  loadHalf: 0x28,
  loadByte: 0x30,
  loadImmediate: 0x00,
  loadScratch: 0x60,
  storeScratch: 0x02,
  multiply: 0x24,
  and: 0x54,
  xor: 0xa4,
  xorX: 0xac,
  shiftRight: 0x74,
  shiftRightX: 0x7c,
  jump: 0x05,
  jumpEqual: 0x15,
  jumpAtLeast: 0x35,
  jumpIfSet: 0x45,
  return: 0x06,
  copyToX: 0x07,
} as const;
/** Offsets from the network header, and a random number (linux/filter.h). Others are from the UDP header. */
export const NETWORK_HEADER = 0xfff0_0000;
export const RANDOM = 0xffff_f000 + 56;

const INSTRUCTIONS_MAX = 4_096;
const JUMP_MAX = 255;
const V4_SOURCE = 12;
const V6_SOURCE = 8;
const WORD_BITS = 5;
const PASS = 0xffff_ffff;
/** How a word gets into A: code, k, and by how many bits it is shifted to the right. */
type Load = readonly [code: number, k: number, shift?: number];

const PORT: Load = [BPF.loadHalf, 0];
const V4_NETWORK: Load = [BPF.loadWord, NETWORK_HEADER + V4_SOURCE, 8];
const V6_NETWORK_END: Load = [BPF.loadHalf, NETWORK_HEADER + V6_SOURCE + 4];
const V6_WORDS = [0, 4, 8, 12].map((at): Load => [BPF.loadWord, NETWORK_HEADER + V6_SOURCE + at]);

/** Places of a bitmap: by so many bits of a hash. A leaf and its jump are three instructions: 2^15 places are 3,100. */
const PLACE_BITS = { min: 12, max: 15 } as const;
/** From so many sources on there are as many places as there can be. */
const SOURCES_FEW = 256;

/** Strangers that are held back: places by the highest bits of a hash (source-hash.ts), a bit for each. */
export interface HeldBack {
  seed: number;
  places: Uint32Array;
  /** Of their datagrams, what passes: 0 to 1. */
  share: number;
}

export interface FilterPlan {
  /** Another one for each program. */
  seed: number;
  /** Who passes always: the first `count` sources, of five words each. */
  standing: Uint32Array;
  count: number;
  /** By address and port; and, of the others, by network. */
  sources: HeldBack;
  networks: HeldBack;
  /** Of all other strangers' datagrams, 0 to 1. */
  strangersShare: number;
  /** Whether to do with the smallest bitmap: the system limits the memory of a socket's options. */
  isSmall?: boolean;
}

/** Two words for each instruction; undefined where they are too many. */
export function filterProgram(plan: FilterPlan): Uint32Array<ArrayBuffer> | undefined {
  const program = new Program();
  const drop = program.add(BPF.return, 0);
  const pass = program.add(BPF.return, PASS);
  const chance = (share: number) => program.addChance(share, pass, drop);
  const { sources, networks, strangersShare } = plan;
  let stranger = chance(strangersShare);
  if (!isEmpty(networks.places)) {
    const isHeld = addMembership(program, networks.places, chance(networks.share), stranger);
    const v6 = program.addHash(v6Seed(networks.seed), [V6_WORDS[0]!, V6_NETWORK_END], isHeld);
    const v4 = program.addHash(v4Seed(networks.seed), [V4_NETWORK], isHeld);
    stranger = program.addVersion(v4, v6);
  }
  if (!isEmpty(sources.places)) {
    const isHeld = addMembership(program, sources.places, chance(sources.share), stranger);
    stranger = addSourceHash(program, sources.seed, isHeld);
  }
  const isStanding = addMembership(program, standingPlaces(plan), pass, stranger);
  addSourceHash(program, plan.seed, isStanding);
  return program.words;
}

function standingPlaces({ seed, standing, count, isSmall }: FilterPlan): Uint32Array {
  const placeBits = isSmall || count <= SOURCES_FEW ? PLACE_BITS.min : PLACE_BITS.max;
  const places = new Uint32Array(1 << (placeBits - WORD_BITS));
  for (let source = 0; source < count; source++) {
    const place = sourceHash(seed, standing, source * SOURCE_WORDS) >>> (32 - placeBits);
    places[place >>> WORD_BITS]! |= 1 << (place & 31);
  }
  return places;
}

function addSourceHash(program: Program, seed: number, next: number): number {
  const v6 = program.addHash(seed, [...V6_WORDS, PORT], next);
  const v4 = program.addHash(seed, [[BPF.loadWord, NETWORK_HEADER + V4_SOURCE], PORT], next);
  return program.addVersion(v4, v6);
}

/** A is a hash, whose highest bits are the place of a bit in `places`. */
function addMembership(program: Program, places: Uint32Array, yes: number, no: number): number {
  program.addBranch(BPF.jumpIfSet, 1, yes, no);
  const leaf = program.add(BPF.shiftRightX, 0);
  program.addJump(addTree(program, places, 0, places.length, leaf, no));
  program.add(BPF.shiftRight, WORD_BITS);
  program.add(BPF.loadScratch, 0);
  program.add(BPF.copyToX, 0);
  program.add(BPF.and, 31);
  program.add(BPF.storeScratch, 0);
  return program.add(BPF.shiftRight, 32 - WORD_BITS - Math.log2(places.length));
}

/** A is which of the words from `from` to `to` is asked for. Where all are empty nothing is. */
function addTree(program: Program, words: Uint32Array, from: number, to: number, leaf: number, none: number): number {
  if (isEmpty(words, from, to)) return none;
  if (to - from === 1) {
    program.addJump(leaf);
    return program.add(BPF.loadImmediate, words[from]!);
  }
  const middle = (from + to) >>> 1;
  const high = addTree(program, words, middle, to, leaf, none);
  const low = addTree(program, words, from, middle, leaf, none);
  return program.addBranch(BPF.jumpAtLeast, middle, high, low);
}

/** Instructions from the end on. A label is the number of instructions from there to the end. */
class Program {
  readonly #words = new Uint32Array(2 * INSTRUCTIONS_MAX);
  #count = 0;

  get words(): Uint32Array<ArrayBuffer> | undefined {
    if (this.#count > INSTRUCTIONS_MAX) return undefined;
    return this.#words.slice(this.#words.length - 2 * this.#count);
  }

  add(code: number, k: number, ifTrue = 0, ifFalse = 0): number {
    // What is before the beginning is not kept.
    const at = this.#words.length - 2 * ++this.#count;
    this.#words[at] = code | (ifTrue << 16) | (ifFalse << 24);
    this.#words[at + 1] = k;
    return this.#count;
  }

  /** A jump's own distance has 8 bits; further targets are reached by another jump. */
  addBranch(code: number, k: number, yes: number, no: number): number {
    const near = (label: number) => (this.#count + 1 - label > JUMP_MAX ? this.addJump(label) : label);
    const [yesNear, noNear] = [near(yes), near(no)];
    return this.add(code, k, this.#count - yesNear, this.#count - noNear);
  }

  addChance(share: number, yes: number, no: number): number {
    if (share >= 1) return yes;
    this.addBranch(BPF.jumpAtLeast, Math.floor(share * 2 ** 32), no, yes);
    return this.add(BPF.loadWord, RANDOM);
  }

  /** A = the hash of the loaded words; goes on at `next`. */
  addHash(seed: number, loads: readonly Load[], next: number): number {
    if (next !== this.#count) this.addJump(next);
    for (let index = loads.length - 1; index >= 0; index--) {
      const [code, k, shift = 0] = loads[index]!;
      this.add(BPF.xorX, 0);
      this.add(BPF.shiftRight, 15);
      this.add(BPF.copyToX, 0);
      this.add(BPF.multiply, HASH_WORD);
      if (index === 0) this.add(BPF.xor, seed);
      else this.add(BPF.xorX, 0);
      if (shift > 0) this.add(BPF.shiftRight, shift);
      this.add(code, k);
      if (index > 0) this.add(BPF.copyToX, 0);
    }
    return this.#count;
  }

  /** By the IP version of the packet: a socket for IPv6 receives IPv4 too. */
  addVersion(v4: number, v6: number): number {
    this.addBranch(BPF.jumpEqual, 4, v4, v6);
    this.add(BPF.shiftRight, 4);
    return this.add(BPF.loadByte, NETWORK_HEADER);
  }

  addJump(label: number): number {
    return this.add(BPF.jump, this.#count - label);
  }
}

function isEmpty(words: Uint32Array, from = 0, to = words.length): boolean {
  for (let at = from; at < to; at++) if (words[at] !== 0) return false;
  return true;
}
