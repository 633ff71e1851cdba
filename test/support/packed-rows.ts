/** Rows of open channels as the registry stores them, with handles far apart: for tests of its file. */
import { encodeRow, ROW_BYTES } from '../../src/channel/row.ts';

export function packedRows(from: number, count: number, capacity: bigint): Uint8Array {
  const rows = new Uint8Array(count * ROW_BYTES);
  for (let index = 0; index < count; index++)
    encodeRow(
      {
        channelId: BigInt.asUintN(64, BigInt(from + index) * 0x9e37_79b9_7f4a_7c15n),
        ledgerChannelId: new Uint8Array(32).fill(index),
        publicKey: new Uint8Array(33).fill(3),
        capacity,
        committed: 1n,
        sequence: index,
        timestampBits: 0n,
        signature: new Uint8Array(64).fill(index),
        profile: 'xrpl',
        state: 'open',
        expiresAt: 0,
      },
      rows,
      index * ROW_BYTES,
    );
  return rows;
}
