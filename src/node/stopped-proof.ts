/**
 * The proof of a channel's newest leaf of a signed root, from the data folder of a node that has stopped or was killed. Main thread of a tool.
 *
 * The folder is locked, checked and replayed as a start does it; nothing is committed to it, so the next start finds it as it was.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { LeafProof } from '../../protocol/merkle.ts';
import { ChannelTable } from '../channel/table.ts';
import { folderFault } from '../folder/data-folder.ts';
import { BLOCK_BYTES } from '../journal/record.ts';
import { lineLogger } from '../log.ts';
import { ChannelStore } from '../registry/channel-store.ts';
import { Arena } from '../ring/arena.ts';
import { EmbeddedStore } from '../store/embedded-store.ts';
import { nodeSystem } from '../system/system.ts';

/** Of segments that nobody makes here. */
const SEGMENT_BYTES = 64 * 2 ** 20;

/**
 * The proof, or undefined where the channel is unknown or no leaf has paid it. Throws CONFIG_INVALID (no data folder of a node, or one of a node whose
 * channels are in a database), DATA_LOCKED (a node runs), JOURNAL_CORRUPT, REGISTRY_CORRUPT.
 */
export async function stoppedProof(data: string, channelId: bigint): Promise<LeafProof | undefined> {
  if (!existsSync(join(data, 'registry')))
    throw folderFault(data, 'the data folder of a node, got one without a registry');
  const options = {
    data,
    segmentBytes: SEGMENT_BYTES,
    blockBytes: BLOCK_BYTES,
    cut: false,
    roots: false,
    rootExposureDrops: 0,
  };
  const store = await EmbeddedStore.open(options, nodeSystem, lineLogger('warn'));
  try {
    const channelsMax = Math.max(1, store.count);
    const shape = { kernelBytes: 0, rings: 1, ringSlots: 2, ackSlots: 2, threads: 1, channelsMax };
    const table = new ChannelTable(Arena.create(shape));
    const channels = new ChannelStore(table, store.rows, async () => {});
    await store.recover(channels, table, 0);
    const channel = channels.get(channelId);
    return channel && store.leaves?.of(channel);
  } finally {
    await store.close();
  }
}
