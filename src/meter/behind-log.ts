/**
 * Tells the operator of channels that have spent more than is committed. Main thread.
 *
 * Spent is synced always, committed is not with `--durability os`: after a loss of power the one may be ahead of the other.
 * What was lost was sold, so nothing more is until claims cover it again. The same holds for a channel that was removed, and
 * opened again.
 */
import type { Account } from './account.ts';

/** Lines in the life of the process. */
const TOLD_MAX = 20;

export class BehindLog {
  readonly #warn: (line: string) => void;
  #told = 0;

  constructor(warn: (line: string) => void) {
    this.#warn = warn;
  }

  tell(account: Account, channelId: bigint, committed: bigint): void {
    if (account.isBehindTold || this.#told >= TOLD_MAX) return;
    account.isBehindTold = true;
    const more = ++this.#told === TOLD_MAX ? '; no more channels are told' : '';
    this.#warn(
      `channel ${channelId}: expected the ${account.spent} drops spent to be committed, got ${committed}; a loss of power took claims, or the channel was removed and opened again: its charges wait until claims cover what was spent${more}`,
    );
  }
}
