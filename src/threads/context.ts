/**
 * What a worker thread is handed at its start, and what it tells the main thread. Plain data: it crosses by clone.
 */

import type { MessagePort } from 'node:worker_threads';
import type { Durability, HostPort, PathKind, SocketKind, VerifyPolicy } from '../config.ts';
import type { LaneStart } from '../journal/segment.ts';
import type { ArenaShape } from '../ring/arena.ts';
import type { IdleStrategy } from '../ring/idle.ts';
import type { TcpLimits } from '../transport/tcp-options.ts';
import type { BackendName } from '../verify/backend.ts';
import type { KernelStart } from '../verify/kernel.ts';

export type ThreadRole = 'net' | 'verifier' | 'committer' | 'lane';

/** Where a thread listens for connections. */
export interface TcpStart {
  /** Undefined: where UDP is. Threads after the first share the first one's address. */
  listen: HostPort | undefined;
  isShared: boolean;
  tls: { cert: string; key: string } | undefined;
  limits: Partial<TcpLimits>;
}

/** What all threads of a node are told alike. */
export interface ThreadSettings {
  backend: BackendName;
  verify: VerifyPolicy;
  durability: Durability;
  sockets: SocketKind;
  path: PathKind;
  idle: IdleStrategy;
}

export interface ThreadContext extends ThreadSettings {
  role: ThreadRole;
  memory: WebAssembly.Memory;
  shape: ArenaShape;
  /** Which ring the thread works on. */
  ring: number;
  /** Its counter block. */
  thread: number;
  kernel: KernelStart;
  tcp: TcpStart;
  /** The way of control messages to the main thread. */
  controlPort: MessagePort;
  /** Where claims are taken; threads after the first share the first one's address. */
  udp: HostPort & { isShared: boolean };
  journal: LaneStart;
}

/** The thread does its work from here on; one that has sockets says where they listen. */
export interface ThreadReady {
  udp?: HostPort;
  tcp?: HostPort;
  receiveBufferBytes?: number;
}
