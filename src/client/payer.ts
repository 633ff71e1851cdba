/**
 * The payer in Node: channels to one node over UDP, TCP, TLS, or whichever gets through, with a state file. payer-core.ts
 * has all that does not depend on Node, and browser/payer.ts is its other user.
 */
import { treeHash } from '../verify/tree-hash.ts';
import { type Abortable, abortable } from './abort.ts';
import { keySigner } from './keys/key-file.ts';
import { verifyEd25519 } from './keys/verify-ed25519.ts';
import { UdpLink } from './links/link-udp.ts';
import { type LinkOptions, openLink } from './links/open-link.ts';
import type { PeerLink } from './links/peer-link.ts';
import type { DatagramSocket } from './links/transport-udp.ts';
import { newSendPath, PayerCore, type PayerLimits } from './payer-core.ts';
import { rootsOptions } from './roots.ts';
import type { PayerState } from './state/payer-state.ts';
import { StateFile } from './state/state-file.ts';
import { systemClock } from './system-clock.ts';

export type { ChannelOptions, PayerLimits } from './payer-core.ts';

/** What a payer keeps over restarts. */
export interface StateOptions {
  /**
   * A file that keeps each channel's amounts and sequences over restarts, made where there is none. It is locked while the
   * payer lives, so that a channel has one live payer. After a crash the node is asked what it holds.
   */
  state?: string;
}

/** Channels to one node. Many payers may share a ConnectionPool. */
export class Payer extends PayerCore {
  /**
   * Opens a payer to a node's address. Rejects with INPUT_INVALID or NODE_UNREACHABLE, for the state file with STATE_LOCKED
   * (another live payer has it), STATE_INVALID (it is damaged or no state file) or STATE_FAILED, or with `signal`'s reason.
   */
  static open({ signal, ...options }: PayerLimits & LinkOptions & StateOptions & Abortable): Promise<Payer> {
    const late = (payer: Payer) => payer.close();
    return abortable(signal, () => Payer.#open(options), late);
  }

  static async #open(options: PayerLimits & LinkOptions & StateOptions): Promise<Payer> {
    const { clock = systemClock, random = Math.random, roots } = options;
    if (roots !== undefined) rootsOptions(roots);
    const link = await openLink({ ...options, isBatched: roots !== undefined }, clock, random, () =>
      newSendPath(options),
    );
    let state: StateFile | undefined;
    try {
      state = options.state === undefined ? undefined : await StateFile.open(options.state);
      return new Payer({ ...options, link }, state);
    } catch (error) {
      await Promise.all([link.close(), state?.close()]);
      throw error;
    }
  }

  /** A payer over the caller's datagram socket or link, which is closed with the payer. */
  constructor(options: PayerLimits & ({ socket: DatagramSocket } | { link: PeerLink }), state?: PayerState) {
    const clock = options.clock ?? systemClock;
    const link = 'link' in options ? options.link : new UdpLink(options.socket, clock);
    super(options, { link, clock, state, keySigner, verifyEd25519, treeHash });
  }
}
