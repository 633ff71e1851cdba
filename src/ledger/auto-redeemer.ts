/**
 * What a node redeems with: the redeemer of a wallet, and the policy that calls it by itself. The ledger service starts and
 * stops both. Main thread.
 */
import type { LedgerState } from '../control/ledger-control.ts';
import type { PolicyChannel, RedeemPolicySettings } from './redeem-policy.ts';
import { policyChannel, RedeemPolicy } from './redeem-policy.ts';
import { Redeemer, type RedeemerOptions } from './redeemer.ts';
import type { LedgerRedeemer } from './service.ts';

/** What is known of the ledger's channels, and told as it changes. The ledger service implements it. */
export interface LedgerStates {
  states(): Iterable<LedgerState & { channelId: bigint }>;
  onChange(listener: (channelId: bigint, state: LedgerState) => void): () => void;
  /** Takes note of drops that were paid in all. */
  paid(ledgerChannelId: Uint8Array, drops: bigint): Promise<void>;
}

export interface AutoRedeemerOptions extends RedeemerOptions {
  policy: RedeemPolicySettings;
}

/** Makes the redeemer of a ledger service. Throws REGISTRY_CORRUPT. */
export function autoRedeemer(options: AutoRedeemerOptions, service: LedgerStates): LedgerRedeemer {
  const { control, clock, logger, policy: settings } = options;
  const redeemer = new Redeemer({
    ...options,
    onPaid: (ledgerChannelId, drops) =>
      // The next look makes it good, unless the channel is gone: then its row shows an exposure that it had before.
      void service.paid(ledgerChannelId, drops).catch((error: Error) => logger.warn(`ledger: ${error.message}`)),
  });
  const look = (channelId: bigint, state: LedgerState): PolicyChannel | undefined => {
    if (control.holds?.(channelId) === false) return undefined;
    const channel = control.channel(channelId);
    if (channel === undefined || !state.exists) return undefined;
    return policyChannel(channel, state);
  };
  let policy: RedeemPolicy | undefined;
  let forget = () => {};
  return {
    redeem: (channelId, how) => redeemer.redeem(channelId, how),
    redemptions: (limit) => redeemer.history(limit),
    totals: () => redeemer.totals,
    shards: redeemer,
    start: () => {
      redeemer.resume();
      policy = new RedeemPolicy({
        ...settings,
        *channels() {
          for (const state of service.states()) {
            const channel = look(state.channelId, state);
            if (channel !== undefined) yield channel;
          }
        },
        redeem: (channelId) => redeemer.redeem(channelId),
        paidAt: (channelId) => redeemer.paidAt(channelId),
        clock,
        logger,
      });
      forget = service.onChange((channelId, state) => {
        const channel = look(channelId, state);
        if (channel !== undefined) policy?.noticed(channel);
      });
    },
    stop: async () => {
      forget();
      policy?.stop();
      await redeemer.stop();
    },
  };
}
