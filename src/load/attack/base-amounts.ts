/** Commits an amount on each channel, so that lower ones are stale. Attack's thread. */
import { setTimeout as pause } from 'node:timers/promises';
import { CLAIM_BYTES, CLAIMS_PER_DATAGRAM_MAX } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';
import type { HostPort } from '../../host-port.ts';
import type { AdminClient } from '../../http/client.ts';
import { NativeUdp } from '../../transport/udp-native.ts';
import type { LoadChannels } from '../channels.ts';
import type { KnownChannels } from './datagrams.ts';

/** By how many drops. */
const BASE = 1_000;
const TRIES_MAX = 50;
const TRY_MS = 100;
/** Claims between two pauses: fewer than a ring has room for. */
const BURST = 60 * CLAIMS_PER_DATAGRAM_MAX;

/** Throws NODE_UNREACHABLE where the node does not commit them in time. */
export async function commitBase(
  admin: Pick<AdminClient, 'channels'>,
  channels: LoadChannels,
  known: KnownChannels,
  target: HostPort,
): Promise<void> {
  let missing = Array.from({ length: channels.count }, (_, channel) => channel);
  for (const channel of missing) channels.setSigned(channel, channels.signed(channel) + BASE);
  const udp = await NativeUdp.connect(target, BURST * CLAIM_BYTES);
  try {
    for (let tries = 0; missing.length > 0; tries++) {
      if (tries === TRIES_MAX)
        throw new ClaimwireError(
          'NODE_UNREACHABLE',
          `attack: expected the node to commit a claim on each of ${channels.count} channels, got ${missing.length} without; is --to its address?`,
        );
      for (let first = 0; first < missing.length; first += BURST) {
        const some = missing.slice(first, first + BURST);
        const amounts = some.map((channel) => channels.signed(channel));
        known.sign(some, amounts, (claim, index) => udp.sending.set(claim, index * CLAIM_BYTES));
        udp.sendSegments(0, some.length * CLAIM_BYTES, CLAIMS_PER_DATAGRAM_MAX * CLAIM_BYTES);
        await pause(TRY_MS / 10);
      }
      await pause(TRY_MS);
      for await (const { channelId, committed } of admin.channels()) {
        const channel = channels.find(BigInt(channelId));
        if (channel >= 0) channels.setAcknowledged(channel, Number(committed));
      }
      missing = missing.filter((channel) => channels.acknowledged(channel) < channels.signed(channel));
    }
  } finally {
    udp.close();
  }
}
