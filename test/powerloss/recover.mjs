/**
 * Starts a node on one data folder after the other, up to its threads: the very calls of ClaimwireNode.start. A process of
 * its own, so that an image on which LMDB faults ends this and not the check. Runs the compiled tree.
 *
 * Message in: { data, lanes, segmentBytes }. Message out: { channels } or { refused, code }.
 */

import { ChannelTable } from '../../dist/src/channel/table.js';
import { closeFolder, loadChannels, openFolder } from '../../dist/src/folder/data-folder.js';
import { Journals } from '../../dist/src/journal/lane-journals.js';
import { BLOCK_BYTES } from '../../dist/src/journal/record.js';
import { JournalWriter } from '../../dist/src/journal/writer.js';
import { ChannelStore } from '../../dist/src/registry/channel-store.js';
import { Arena } from '../../dist/src/ring/arena.js';
import { nodeSystem } from '../../dist/src/system/system.js';

const SHAPE = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 1024 };
const GROUP_CLAIMS_MAX = 256;

async function recover({ data, lanes, segmentBytes }) {
  const folder = await openFolder(data, nodeSystem);
  const { registry } = folder;
  try {
    const table = new ChannelTable(Arena.create(SHAPE));
    const store = new ChannelStore(table, registry, async () => {});
    loadChannels(registry, store);
    const journals = Journals.replay(
      { data, lanes, segmentBytes, blockBytes: BLOCK_BYTES, cut: false },
      registry,
      table,
      nodeSystem,
    );
    await store.checkpoint();
    await journals.begin();
    for (const start of journals.starts.slice(0, lanes))
      new JournalWriter({ ...start, ...nodeSystem, groupClaimsMax: GROUP_CLAIMS_MAX }).close();
    return store
      .list(0, store.count)
      .map(({ channelId, committed, signature }) => ({ channelId, committed, signature: Buffer.from(signature) }));
  } finally {
    await closeFolder(folder);
  }
}

process.on('message', async (message) => {
  try {
    process.send({ channels: await recover(message) });
  } catch (error) {
    process.send({ refused: String(error.message), code: error.code ?? 'NONE' });
  }
});
