/** A claim path for tests of the meter: amounts that the test commits. Test's thread. */
import type { CommittedBatch } from '../../../src/control/meter-control.ts';
import type { CommittedSource } from '../../../src/meter/committed-source.ts';

export class FakeSource implements CommittedSource {
  readonly amounts = new Map<bigint, bigint>();
  /** Ledger channel ids of handles whose own is not the default one. */
  readonly ledgerIds = new Map<bigint, Uint8Array>();
  readonly listeners = new Set<(batch: CommittedBatch) => void>();

  committed(channelId: bigint): bigint | undefined {
    return this.amounts.get(channelId);
  }
  ledgerChannelId(channelId: bigint): Uint8Array | undefined {
    if (!this.amounts.has(channelId)) return undefined;
    return this.ledgerIds.get(channelId) ?? ledgerIdOf(channelId);
  }
  onCommitted(listener: (batch: CommittedBatch) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Channels' amounts grow, all in one batch. */
  commit(...amounts: [channelId: bigint, committed: bigint][]): void {
    for (const [channelId, committed] of amounts) this.amounts.set(channelId, committed);
    const batch = {
      length: amounts.length,
      channelId: (index: number) => amounts[index]![0],
      committed: (index: number) => amounts[index]![1],
    };
    for (const listener of [...this.listeners]) listener(batch);
  }
}

export function ledgerIdOf(channelId: bigint): Uint8Array {
  const id = new Uint8Array(32).fill(0xa5);
  new DataView(id.buffer).setBigUint64(0, channelId);
  return id;
}
