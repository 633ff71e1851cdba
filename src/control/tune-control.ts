/** What may be changed while a node runs, for who tunes it (src/tune). node.ts implements it. None of it is a rule or durability. */

export const SETTING_NAMES = [
  /** Claims that a thread verifies at once. */
  'verifyBatch',
  /** Claims considered for one group commit. */
  'groupClaims',
  /** Milliseconds for which a group waits for more claims before it is written. */
  'groupWaitMs',
  /** Empty turns before a thread sleeps. */
  'idleSpins',
  /** Bytes that key tables use, and the share of large ones in it. */
  'keyCacheBytes',
] as const;
export type SettingName = (typeof SETTING_NAMES)[number];

/** A setting that this node has, in whole numbers. */
export interface Setting {
  readonly name: SettingName;
  readonly value: number;
  readonly min: number;
  readonly max: number;
}

export interface TuneControl {
  /** Those that do something on this node: without a kernel there is no key cache, and lanes do not spin. */
  settings(): Setting[];
  /** Takes effect within a turn of each thread. Throws INPUT_INVALID for one the node does not have, and out of its bounds. */
  set(name: SettingName, value: number): void;
}
