/**
 * The kernel as WebAssembly, for machines without the native addon. Main and verifying threads.
 *
 * Every instance runs on the node's arena, of which the kernel owns bytes [0, kernelBytes) for its static data, stacks, key
 * tables and scratch. The first instance builds the generator's table, and the others wait for it.
 */
import { randomFillSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../errors.ts';
import type { Arena } from '../ring/arena.ts';
import { arenaLayout } from '../ring/arena-layout.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import {
  KERNEL_STATS,
  type Kernel,
  type KernelStart,
  type KernelStats,
  type KeyList,
  LISTED_MAX,
  namedStats,
  TABLE_KINDS,
  type TableKind,
} from './kernel.ts';

export const WASM_PAGE_BYTES = 65_536;
const MEMORY_BYTES_MAX = 2 ** 32;
/** Half of what a wasm memory can have, since rings and rows need room as well. */
const CACHE_BYTES_MAX = 2 ** 31;

/** What src/kernel/wasm.c exports. Addresses and sizes are u32; a context is the address of a thread's data. */
export interface WasmExports extends WebAssembly.Exports {
  __stack_pointer: WebAssembly.Global;
  stack_top(thread: number): number;
  seed_at(): number;
  kernel_bytes(threads: number, cacheBytes: number): number;
  start(kernelBytes: number, threads: number, cacheBytes: number): number;
  context_new(): number;
  inbox(): number;
  digests_at(context: number): number;
  signatures_at(context: number): number;
  keys_at(context: number): number;
  verdicts_at(context: number): number;
  stats_at(context: number): number;
  force_tables(context: number, kind: number): void;
  limit_tables(bytes: number): void;
  layout_at(context: number): number;
  attach(context: number, bytes: number): number;
  verify_slots(context: number, first: number, count: number): number;
  verify_slot(context: number, sequence: number): number;
  verify_many(context: number, path: number, count: number): void;
  key_valid(context: number): number;
  list_keys(context: number, first: number): number;
  warm_keys(context: number, kind: number, count: number): number;
  throwaway_bytes(count: number): number;
  throwaway_at(context: number, count: number): number;
  throwaway_signer(context: number, secrets: number, count: number): number;
  throwaway_sign_slots(context: number, first: number, count: number): number;
  signer_bytes(signers: number): number;
  signer_open(context: number): number;
  signer_close(signer: number): void;
  signer_public(context: number, signer: number): void;
  sign_digests(context: number, signer: number, count: number): number;
}

let compiled: WebAssembly.Module | undefined;

/** An instance of the module over `memory`, on the stack of `thread`. */
export function wasmInstance(memory: WebAssembly.Memory, thread: number): WasmExports {
  compiled ??= new WebAssembly.Module(readFileSync(modulePath()));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } }) as { exports: WasmExports };
  exports.__stack_pointer.value = exports.stack_top(thread);
  return exports;
}

/** The committed module, whether this file runs compiled or as source. */
function modulePath(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const paths = ['../../../src/kernel/claimwire.wasm', '../kernel/claimwire.wasm'].map((path) => join(here, path));
  const path = paths.find(existsSync);
  if (path === undefined) throw new Error('expected src/kernel/claimwire.wasm, got none');
  return path;
}

/**
 * Bytes at the arena's start that the kernel needs, whole pages, of which key tables are at least 20 MiB.
 * @param throwawayKeys how many the load generator signs with
 * @param signers of real keys
 */
export function wasmKernelBytes(
  { cacheBytes, threads }: Omit<KernelStart, 'thread'>,
  throwawayKeys = 0,
  signers = 0,
): number {
  // An instance for this question only, which writes to its first pages only.
  const memory = new WebAssembly.Memory({ initial: 32, maximum: MEMORY_BYTES_MAX / WASM_PAGE_BYTES, shared: true });
  const exports = wasmInstance(memory, 0);
  const bytes =
    exports.kernel_bytes(threads, Math.min(cacheBytes, CACHE_BYTES_MAX)) +
    exports.throwaway_bytes(throwawayKeys) +
    (signers > 0 ? exports.signer_bytes(signers) : 0);
  return Math.ceil(bytes / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
}

export class WasmKernel implements Kernel {
  readonly kernelName = 'wasm';
  readonly #exports: WasmExports;
  readonly #context: number;
  readonly #memory: WebAssembly.Memory;

  /** Throws Error where the memory has no room for the kernel. */
  constructor(arena: Arena, { cacheBytes, threads, thread }: KernelStart) {
    this.#memory = arena.memory;
    const exports = wasmInstance(arena.memory, thread);
    this.#exports = exports;
    this.#bytes(exports.seed_at(), 32).set(randomFillSync(new Uint8Array(32)));
    const { kernelBytes } = arena.plan.shape;
    if (exports.start(kernelBytes, threads, Math.min(cacheBytes, CACHE_BYTES_MAX)) !== 0)
      throw new Error(`expected room for the kernel's tables, got ${kernelBytes} bytes`);
    this.#context = exports.context_new();
    if (this.#context === 0) throw new Error(`expected room for thread ${thread} of the kernel, got none`);
  }

  attach(arena: Arena, ring: ClaimRing): void {
    const bytes = Math.min(this.#memory.buffer.byteLength, MEMORY_BYTES_MAX - 1);
    arena.words.set(arenaLayout(arena, ring), this.#exports.layout_at(this.#context) >>> 2);
    assert(this.#exports.attach(this.#context, bytes) === 1, 'the kernel takes the layout of the arena');
  }
  verifySlots(first: number, count: number): void {
    this.#exports.verify_slots(this.#context, first, count);
  }
  verifySlot(sequence: number): void {
    this.#exports.verify_slot(this.#context, sequence);
  }
  verifyMany(...[digests, signatures, keys, verdicts, path]: Parameters<Kernel['verifyMany']>): void {
    const { length } = verdicts;
    if (digests.length < 32 * length || signatures.length < 64 * length || keys.length < 33 * length)
      throw new RangeError('verifyMany: expected 32, 64 and 33 bytes a verdict, got fewer');
    const tuples = this.#exports.inbox();
    const put = (at: (context: number) => number, source: Uint8Array, first: number, count: number, bytes: number) =>
      this.#bytes(at(this.#context), count * bytes).set(source.subarray(first * bytes, (first + count) * bytes));
    for (let first = 0; first < verdicts.length; first += tuples) {
      const count = Math.min(tuples, verdicts.length - first);
      put(this.#exports.digests_at, digests, first, count, 32);
      put(this.#exports.signatures_at, signatures, first, count, 64);
      put(this.#exports.keys_at, keys, first, count, 33);
      this.#exports.verify_many(this.#context, path, count);
      verdicts.set(this.#bytes(this.#exports.verdicts_at(this.#context), count), first);
    }
  }
  keyValid(publicKey: Uint8Array): boolean {
    if (publicKey.length !== 33) return false;
    this.#bytes(this.#exports.keys_at(this.#context), 33).set(publicKey);
    return this.#exports.key_valid(this.#context) === 1;
  }

  /** Makes the throw-away keys of the load generator, once an instance, as the addon does (src/native/addon.c). */
  throwawaySigner(privateKeys: Uint8Array, nonces: Uint8Array): void {
    const { length } = privateKeys;
    if (length === 0 || length % 32 !== 0 || nonces.length !== length)
      throw new RangeError('throwawaySigner: expected 32 bytes of key and as many of nonce a key row');
    const count = length / 32;
    const at = this.#exports.throwaway_at(this.#context, count);
    if (at === 0) throw new Error(`throwawaySigner: expected room for ${count} keys, got none`);
    this.#bytes(at, length).set(privateKeys);
    this.#bytes(at + length, length).set(nonces);
    if (this.#exports.throwaway_signer(this.#context, at, count) !== count)
      throw new RangeError('throwawaySigner: expected keys and nonces that are not 0 modulo the order');
  }
  throwawaySignSlots(first: number, count: number): number {
    return this.#exports.throwaway_sign_slots(this.#context, first, count);
  }
  forceTables(kind: TableKind | undefined): void {
    this.#exports.force_tables(this.#context, kind === undefined ? -1 : TABLE_KINDS[kind]);
  }
  listKeys(part: number, { keys, kinds, heat }: KeyList): number {
    const count = this.#exports.list_keys(this.#context, part);
    if (count <= 0) return count;
    keys.set(this.#bytes(this.#exports.keys_at(this.#context), 33 * count));
    kinds.set(this.#bytes(this.#exports.verdicts_at(this.#context), count));
    heat.set(new Uint32Array(this.#memory.buffer, this.#exports.digests_at(this.#context) >>> 0, count));
    return count;
  }
  warmKeys(kind: number, keys: Uint8Array): boolean {
    const count = Math.floor(keys.length / 33);
    assert(count <= LISTED_MAX, 'the kernel takes these keys in one call');
    this.#bytes(this.#exports.keys_at(this.#context), keys.length).set(keys);
    return this.#exports.warm_keys(this.#context, kind, count) === 1;
  }
  limitTables(bytes: number): void {
    this.#exports.limit_tables(Math.min(bytes, CACHE_BYTES_MAX));
  }
  stats(): KernelStats {
    const at = this.#exports.stats_at(this.#context) >>> 0;
    return namedStats(new BigUint64Array(this.#memory.buffer, at, KERNEL_STATS.length));
  }

  #bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at >>> 0, length);
  }
}
