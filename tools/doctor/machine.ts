/**
 * What the checks of `claimwire doctor` may ask of a machine. real-machine.ts asks the one it runs on; tests hand in what
 * another one answered.
 */
import type { StoreWanted } from './check.ts';

export interface FileFacts {
  /** Permission bits. */
  readonly mode: number;
  readonly userId: number;
  readonly isFolder: boolean;
}

export interface BackendFacts {
  /** The backend that a node would choose: native, wasm or noble. */
  readonly name: string;
  /** The kernel's instruction set; null where the backend has none. */
  readonly kernel: string | null;
  /** What was measured to choose the kernel, and which ones failed their self-test; empty where there was no choice. */
  readonly kernelNote: string;
  /** Why there is no addon; undefined where there is one. */
  readonly addonFault: string | undefined;
  /** Where the addon is from. */
  readonly addonOrigin: string | undefined;
  /** Backends that were passed over, and why. */
  readonly passedOver: readonly string[];
}

export interface SigningFacts {
  /** The instruction set of the addon's signer, and its signatures a second of processor time; null where it does not sign. */
  readonly kernel: string | null;
  readonly perSecond: number | null;
  /** Why it does not sign. */
  readonly fault: string | undefined;
  /** What the system refused to do for the key's memory; empty where it refused nothing. */
  readonly note: string;
  readonly noblePerSecond: number;
}

export interface DiskFacts {
  /** As statfs(2) numbers kinds of file systems. */
  readonly type: number;
  readonly bytes: number;
  /** Bytes that this user may still write. */
  readonly freeBytes: number;
}

/** A host of a database. */
interface HostFacts {
  readonly host: string;
  readonly state: 'primary' | 'standby' | 'unreachable';
  /** Why it is not the primary, as it says itself. */
  readonly fault?: string;
}

export interface StoreFacts {
  readonly hosts: readonly HostFacts[];
  /** Of the first primary; undefined where there is none. */
  readonly primary?: {
    readonly isPostgres: boolean;
    /** The setting synchronous_standby_names. */
    readonly names: string;
    /** Standbys that follow it; null where this user may not see them. */
    readonly synchronous: number | null;
    readonly other: number | null;
    /** Milliseconds of commits of 96 bytes each; or why that failed; undefined: not tried, since nobody would confirm them. */
    readonly commitMs: readonly number[] | string | undefined;
  };
}

/** Everything asynchronous is bounded in time. What does not exist is `undefined`; what fails says why, as a text. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** Like 20.19.0. */
  readonly nodeVersion: string;
  readonly userId: number;
  /** Cores that this process may use. */
  readonly cores: number;
  /** A small text file of /proc or /sys. */
  text(path: string): string | undefined;
  file(path: string): FileFacts | undefined;
  backend(): BackendFacts;
  /** The signers of keys in files, tried with a new key. */
  signing(): SigningFacts;
  disk(folder: string): DiskFacts | undefined;
  /** Milliseconds of `count` writes of 4 KiB, each with its fdatasync, into a new file of a folder; or why that failed. */
  syncs(folder: string, count: number): number[] | string;
  /** Sends 4 datagrams in one call over loopback; the messages that they arrived as, or why that could not be tried. */
  trains(): Promise<number | string>;
  /** Why an address cannot be bound, such as EADDRINUSE; undefined where it is free. */
  bindFault(protocol: 'udp' | 'tcp', host: string, port: number): Promise<string | undefined>;
  /** Whether a claimwire node answers there. */
  isNodeAt(host: string, port: number): Promise<boolean>;
  /** Milliseconds that a WebSocket handshake took, or why it failed. */
  reach(url: string): Promise<number | string>;
  /** What the servers of a database answer; or why none could be asked. */
  store(wanted: StoreWanted, commits: number): Promise<StoreFacts | string>;
  /** Whether the optional library for the ledger is installed. */
  hasLedgerLibrary(): boolean;
  /** Whether the optional library for keys in hardware is installed and built. */
  hasPkcs11Library(): boolean;
  /** The module that CLAIMWIRE_PKCS11_MODULE names. */
  pkcs11Module(): string | undefined;
  /** What a program printed; undefined where it is missing, fails or takes long. */
  output(program: string, ...args: string[]): string | undefined;
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds by which the wall clock and the monotonic one went apart over a short while. */
  clockDrift(): Promise<number>;
}
