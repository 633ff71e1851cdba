/**
 * The payer in a page: channels to one node by WebRTC, or by a WebSocket where that does not get through, with its state
 * in IndexedDB. The page's thread, or a worker's (which has no WebRTC).
 */
import { type Abortable, abortable } from '../abort.ts';
import { invalid } from '../claim-errors.ts';
import { pairSigner } from '../keys/key-pair.ts';
import type { PeerLink } from '../links/peer-link.ts';
import { newSendPath, PayerCore, type PayerLimits } from '../payer-core.ts';
import type { PayerState } from '../state/payer-state.ts';
import { openWebLink, type WebLinkOptions } from './open-web-link.ts';
import { pageClock } from './page-clock.ts';
import { openPageState } from './page-state.ts';

/** What a payer keeps over reloads. */
export interface PageStateOptions {
  /**
   * A name, under which IndexedDB keeps each channel's amounts and sequences. It is locked while the payer lives, so that a
   * channel has one live payer, whatever tabs are open. After a crash the node is asked what it holds.
   */
  state?: string;
}

/** Channels to one node. */
export class Payer extends PayerCore {
  /**
   * Opens a payer to a node's address. Rejects with INPUT_INVALID, for the state with STATE_LOCKED (another tab has it) or
   * STATE_INVALID (damaged, or the page has no IndexedDB or Web Locks), or with `signal`'s reason.
   */
  static open({ signal, ...options }: PayerLimits & WebLinkOptions & PageStateOptions & Abortable): Promise<Payer> {
    const late = (payer: Payer) => payer.close();
    return abortable(signal, () => Payer.#open(options), late);
  }

  static async #open(options: PayerLimits & WebLinkOptions & PageStateOptions): Promise<Payer> {
    const { clock = pageClock, random = Math.random } = options;
    const link = await openWebLink(options, clock, random, () => newSendPath(options));
    let state: PayerState | undefined;
    try {
      state = options.state === undefined ? undefined : await openPageState(options.state);
      return new Payer({ ...options, link }, state);
    } catch (error) {
      await Promise.all([link.close(), state?.close()]);
      throw error;
    }
  }

  /** A payer over the caller's link, which is closed with the payer. */
  constructor(options: PayerLimits & { link: PeerLink }, state?: PayerState) {
    const clock = options.clock ?? pageClock;
    super(options, { link: options.link, clock, state, keySigner: pairSigner, verifyEd25519 });
  }
}

/** Pages have Ed25519 by a Signer of their own alone. */
function verifyEd25519(): never {
  throw invalid('resume: expected a secp256k1 key in a page, got Ed25519; give `committed` instead');
}
