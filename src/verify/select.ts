/**
 * Chooses the backend: the one asked for, or the fastest that passes its self-test. The main thread chooses before it makes
 * the arena, since the wasm kernel needs room there; the verifying threads then create their instances.
 */
import { ChannelTable } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import type { Arena } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import type { Counters } from '../ring/counters.ts';
import { BACKEND_NAMES, type BackendChoice, type BackendName, type VerifyBackend } from './backend.ts';
import { Ed25519Backend } from './ed25519-backend.ts';
import { FrameJudge } from './frame-judge.ts';
import type { Kernel, KernelStart } from './kernel.ts';
import { KernelBackend } from './kernel-backend.ts';
import { LeafBackend } from './leaf-backend.ts';
import { NativeKernel } from './native.ts';
import { NewestBackend } from './newest-backend.ts';
import { ReferenceBackend } from './reference-backend.ts';
import { selfTestArena, selfTestFault } from './self-test.ts';
import { merkleFrames } from './tree-hash.ts';
import { WasmKernel, wasmKernelBytes } from './wasm.ts';

/** For the trial: the kernel makes the smallest cache that it can. */
const TRIAL: KernelStart = { cacheBytes: 1, threads: 1, thread: 0 };

/**
 * The backend that `choice` stands for on this machine.
 * Throws BACKEND_UNAVAILABLE where none works.
 * @param onPassedOver called with each that `auto` passed over, and the reason
 */
export function resolveBackend(
  choice: BackendChoice,
  cacheBytes: number,
  onPassedOver: (name: BackendName, reason: string) => void = () => {},
): BackendName {
  const candidates = choice === 'auto' ? BACKEND_NAMES : [choice];
  const reasons: string[] = [];
  for (const name of candidates) {
    const fault = trialFault(name, cacheBytes);
    if (fault === undefined) return name;
    reasons.push(`${name}: ${fault}`);
    if (choice === 'auto') onPassedOver(name, fault);
  }
  throw new ClaimwireError('BACKEND_UNAVAILABLE', `backend: ${reasons.join('; ')}`);
}

/** Bytes at the arena's start that a backend needs for itself. */
export function backendBytes(name: BackendName, start: Omit<KernelStart, 'thread'>): number {
  return name === 'wasm' ? wasmKernelBytes(start) : 0;
}

/** This thread's instance of the kernel, or undefined for a backend that has none. */
export function createKernel(name: BackendName, arena: Arena, start: KernelStart): Kernel | undefined {
  if (name === 'native') return new NativeKernel(start.cacheBytes);
  return name === 'wasm' ? new WasmKernel(arena, start) : undefined;
}

/** @param roots where leaves of Merkle batches are judged as well: where it counts, and a number that nobody outside knows */
export function createBackend(
  name: BackendName,
  arena: Arena,
  ring: ClaimRing,
  table: ChannelTable,
  start: KernelStart,
  policy: 'every' | 'newest' = 'every',
  roots?: { counters: Counters; seed: number },
): VerifyBackend {
  const kernel = createKernel(name, arena, start);
  const backend =
    kernel === undefined ? new ReferenceBackend(arena, ring, table) : new KernelBackend(name, kernel, arena, ring);
  const any = new Ed25519Backend(backend, arena, ring, table);
  const claims = policy === 'newest' ? new NewestBackend(any, arena, ring, table) : any;
  if (roots === undefined) return claims;
  const judge = new FrameJudge(arena, ring, table, roots.counters, kernel, roots.seed, merkleFrames());
  return new LeafBackend(claims, judge, arena, ring);
}

/** Why a backend cannot be trusted here, or undefined. It judges known claims in a small arena. */
function trialFault(name: BackendName, cacheBytes: number): string | undefined {
  try {
    // The native cache is made once a process, by the first instance, and so with its real size.
    const start = name === 'native' ? { ...TRIAL, cacheBytes } : TRIAL;
    const arena = selfTestArena(backendBytes(name, start));
    const ring = new ClaimRing(arena, 0);
    const table = new ChannelTable(arena);
    return selfTestFault(arena, ring, table, () => createBackend(name, arena, ring, table, start));
  } catch (error) {
    return (error as Error).message;
  }
}
