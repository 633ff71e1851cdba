/** The span of one charge: how long it waited, the round's durable commit, and how it ended. Main thread. */
import type { ChargeResult } from '../control/meter-control.ts';
import type { Span } from '../spans/spans.ts';
import type { ChargeOptions, Charges } from './charges.ts';

/** Makes a charge, and ends its span with it. */
export async function spannedCharge(
  span: Span,
  charges: Pick<Charges, 'charge'>,
  channelId: bigint,
  drops: bigint,
  options: ChargeOptions = {},
): Promise<ChargeResult> {
  span.set({ 'claimwire.channel': String(channelId), 'claimwire.drops': String(drops) });
  let commit: Span | undefined;
  const committing = (count: number) => {
    commit = span.child('commit');
    commit.set({ 'claimwire.round.charges': count });
  };
  try {
    const result = await charges.charge(channelId, drops, { ...options, committing });
    commit?.end();
    const { spent, committed, repeated } = result;
    span.set({
      'claimwire.result': repeated ? 'repeated' : 'made',
      'claimwire.spent': String(spent),
      'claimwire.committed': String(committed),
    });
    span.end();
    return result;
  } catch (error) {
    commit?.end(error);
    span.set({ 'claimwire.result': 'refused' });
    span.end(error);
    throw error;
  }
}
