/**
 * What the checks of `claimwire doctor` may ask of a machine. real-machine.ts asks the one it runs on; tests hand in what
 * another one answered.
 */

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
  /** Why there is no addon; undefined where there is one. */
  readonly addonFault: string | undefined;
  /** Where the addon is from. */
  readonly addonOrigin: string | undefined;
  /** Backends that were passed over, and why. */
  readonly passedOver: readonly string[];
}

export interface DiskFacts {
  /** As statfs(2) numbers kinds of file systems. */
  readonly type: number;
  readonly bytes: number;
  /** Bytes that this user may still write. */
  readonly freeBytes: number;
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
  /** Whether the optional library for the ledger is installed. */
  hasLedgerLibrary(): boolean;
  /** What a program printed; undefined where it is missing, fails or takes long. */
  output(program: string, ...args: string[]): string | undefined;
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds by which the wall clock and the monotonic one went apart over a short while. */
  clockDrift(): Promise<number>;
}
