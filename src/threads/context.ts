/**
 * What a worker thread is handed at its start, and what it tells the main thread. Plain data: it crosses by clone.
 */
import type { ArenaShape } from '../ring/arena.ts';
import type { IdleStrategy } from '../ring/idle.ts';
import type { BackendName } from '../verify/backend.ts';
import type { KernelStart } from '../verify/kernel.ts';

export type ThreadRole = 'net' | 'verifier' | 'committer' | 'lane';

export interface JournalStart {
  directory: string;
  segmentBytes: number;
  journalId: Uint8Array;
  segment: number;
  group: number;
}

export interface ThreadContext {
  role: ThreadRole;
  memory: WebAssembly.Memory;
  shape: ArenaShape;
  /** Which ring the thread works on. */
  ring: number;
  /** Its counter block. */
  thread: number;
  backend: BackendName;
  kernel: KernelStart;
  idle: IdleStrategy;
  udp: { host: string; port: number };
  journal: JournalStart;
}

/** The thread does its work from here on; the one that has the socket says where it listens. */
export interface ThreadReady {
  udp?: string;
  receiveBufferBytes?: number;
}
