/** Vectors of shards: handles and the shard of each. */
import { U64_MAX } from '../../protocol/layout.ts';
import { shardOfChannel } from '../../protocol/shard.ts';
import { LEDGER_CHANNEL_ID } from './claims.ts';

export function shardVectors() {
  const handles = [0n, 1n, 2n, 1_024n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 1n << 63n, U64_MAX];
  const ledgerIds = [LEDGER_CHANNEL_ID, 'd4edb9530232ef171b8a71d2d99fdcfc696cdcd5eb127c0e1806b2c9535df80a'];
  for (const id of ledgerIds) handles.push(BigInt(`0x${id.slice(0, 16)}`));
  return handles.map((handle) => ({ channelId: String(handle), shard: shardOfChannel(handle) }));
}
