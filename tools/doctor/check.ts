/** What a check of `claimwire doctor` is, and what it says. */
import type { Machine } from './machine.ts';

type State = 'ok' | 'warning' | 'error';

/** What one check found out. */
export interface Finding {
  state: State;
  /** A sentence. */
  message: string;
  /** The command that mends it, to be copied as it is. */
  fix?: string;
  /** What was measured or read, for programs. */
  facts?: Readonly<Record<string, string | number | boolean | null>>;
}

/** What the node that is examined would be started with. */
export interface Wanted {
  /** Its data folder. */
  data: string;
  udp: Address;
  http: Address;
  /** A server of the ledger, wss://…; undefined: none is asked for. */
  ledger: string | undefined;
  /** The database that the node would keep its channels in; undefined: none is looked at. */
  store?: StoreWanted | undefined;
  /** A wallet's file; undefined: the node has none. */
  wallet: string | undefined;
}

export interface StoreWanted {
  /** postgres://USER@HOST:PORT,…/NAME */
  readonly url: string;
  readonly passwordFile: string | undefined;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A pure function of what the machine says: it never throws for what it finds there. */
export type Check = (machine: Machine, wanted: Wanted) => Finding | Promise<Finding>;

export function ok(message: string, facts: Finding['facts'] = {}): Finding {
  return { state: 'ok', message, facts };
}
export function warning(message: string, fix: string, facts: Finding['facts'] = {}): Finding {
  return { state: 'warning', message, fix, facts };
}
export function error(message: string, fix: string, facts: Finding['facts'] = {}): Finding {
  return { state: 'error', message, fix, facts };
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** 512 MiB, 1.5 GiB. */
export function bytesText(bytes: number): string {
  if (bytes >= GIB) return `${(bytes / GIB).toFixed(bytes >= 10 * GIB ? 0 : 1)} GiB`;
  return bytes >= MIB ? `${Math.round(bytes / MIB)} MiB` : `${Math.round(bytes / 1_024)} KiB`;
}

/** A path as a shell takes it. */
export function quoted(path: string): string {
  return /^[\w@%+=:,./~-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
