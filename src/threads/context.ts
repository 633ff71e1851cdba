/** What a worker thread is given at its start, and what it tells the main thread. Plain data, which is cloned. */
import type { MessagePort } from 'node:worker_threads';
import type { Durability, PathKind, SocketKind, VerifyPolicy } from '../config.ts';
import type { HostPort } from '../host-port.ts';
import type { ArenaShape } from '../ring/arena.ts';
import type { IdleStrategy } from '../ring/doorbell.ts';
import type { LogStart } from '../store/store.ts';
import type { TcpLimits } from '../transport/tcp-options.ts';
import type { BackendName } from '../verify/backend.ts';
import type { KernelStart } from '../verify/kernel.ts';

export type ThreadRole = 'net' | 'verifier' | 'committer' | 'lane';

/** Where a thread listens for connections. */
export interface TcpStart {
  /** Undefined: UDP's address. Threads after the first share the first one's address. */
  listen: HostPort | undefined;
  isShared: boolean;
  tls: { cert: string; key: string } | undefined;
  limits: Partial<TcpLimits>;
}

/** What all threads of a node have in common. */
export interface ThreadSettings {
  backend: BackendName;
  verify: VerifyPolicy;
  durability: Durability;
  sockets: SocketKind;
  path: PathKind;
  idle: IdleStrategy;
  /** See NodeOptions; left out, neither. */
  pin?: boolean;
  busyPollUs?: number;
  /** Who goes first while a ring fills, see Standing. Left out, nobody does. */
  standing?: { part: number; seed: number } | undefined;
  /** What is kept of leaves of signed roots, where there are any: its memory, and the drops they may expose. */
  rooted?: { memory: SharedArrayBuffer; exposureMax: number } | undefined;
  /** Whether the times of claims are measured (path/path-measures.ts). */
  measuring: boolean;
}

/** With where its groups go. */
export interface ThreadContext extends ThreadSettings, LogStart {
  role: ThreadRole;
  memory: WebAssembly.Memory;
  shape: ArenaShape;
  /** The ring that the thread works on. */
  ring: number;
  /** The thread's counter block. */
  thread: number;
  kernel: KernelStart;
  tcp: TcpStart;
  /** Carries control messages to the main thread. */
  controlPort: MessagePort;
  /** Brings claims that the node's own program submits, to the first thread with sockets. */
  localPort?: MessagePort | undefined;
  /** Brings claims of the web process (src/web). */
  webPort?: MessagePort | undefined;
  /** Where claims are received. Threads after the first share the first one's address. */
  udp: HostPort & { isShared: boolean };
}

/** Sent when the thread begins its work. One that has sockets says where they are bound. */
export interface ThreadReady {
  udp?: HostPort;
  tcp?: HostPort;
  receiveBufferBytes?: number;
}
