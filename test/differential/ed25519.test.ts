/**
 * Ed25519 and secp256k1 channels side by side through the real steps, with real signatures: the same rules of
 * acceptance, and each claim its own verdict whatever its neighbours in the batch are.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { claimBytes } from '../../protocol/claim.ts';
import { CLAIM_AMOUNT, CLAIM_SEQUENCE, CLAIM_SIGNATURE, CLAIM_TIMESTAMP, statusName } from '../../protocol/layout.ts';
import { Ed25519Signer, type KeySigner, Secp256k1Signer } from '../../src/client/keys/signer.ts';
import { Ed25519Backend } from '../../src/verify/ed25519-backend.ts';
import { ReferenceBackend } from '../../src/verify/reference-backend.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { random } from '../support/random.ts';
import { Rig, sourceOf } from '../support/rig.ts';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));

/** The reference with larger batches, so that both kinds meet in one. */
function mixedRig(channelsMax = 64): Rig {
  return new Rig({
    channelsMax,
    backend: (arena, ring, table) => {
      const noble = new ReferenceBackend(arena, ring, table);
      const verifySlots = (first: number, count: number) => noble.verifySlots(first, count);
      return new Ed25519Backend({ name: 'noble', batchMax: 64, verifySlots }, arena, ring, table);
    },
  });
}

interface Refusal {
  name: string;
  now: number;
  channel: {
    ledgerChannelId: string;
    publicKey: string;
    profile: 'xrpl' | 'link';
    capacity: string;
    committed: string;
    sequence: number;
    state: 'open' | 'closed';
    expiresAt: number;
  };
  wire: string;
  statusName: string;
}

const REFUSALS: Refusal[] = JSON.parse(
  readFileSync(new URL('../../protocol/vectors/refusals.json', import.meta.url), 'utf8'),
).vectors;

test.each(REFUSALS)('refusals.json: $name', ({ now, channel, wire, statusName: expected }) => {
  const rig = mixedRig();
  rig.now = now * 1_000;
  rig.open({
    ...channel,
    channelId: BigInt(`0x${channel.ledgerChannelId.slice(0, 16)}`),
    ledgerChannelId: bytes(channel.ledgerChannelId),
    publicKey: bytes(channel.publicKey),
    capacity: BigInt(channel.capacity),
    committed: BigInt(channel.committed),
  });
  rig.datagram(bytes(wire), sourceOf('192.0.2.1', 4_000));
  rig.turn();
  expect(rig.takeAcks().map(({ status }) => statusName(status))).toEqual([expected]);
});

const BURSTS = brieflyOrAtLength(20, 40);

/** Where to flip a bit of a signed claim, and whether it then fails under a profile. */
const SPOILINGS: { at: (byte: number) => number; fails: (profile: string) => boolean }[] = [
  { at: (byte) => CLAIM_SIGNATURE + byte, fails: () => true },
  { at: () => CLAIM_AMOUNT + 7, fails: () => true },
  { at: () => CLAIM_SEQUENCE + 3, fails: (profile) => profile === 'link' },
  { at: (byte) => CLAIM_TIMESTAMP + (byte % 8), fails: (profile) => profile === 'link' },
];

test('in mixed bursts every claim is judged by its own key, profile and bytes', () => {
  const from = random(25_519);
  const rig = mixedRig();
  const channels = Array.from({ length: 40 }, (_, index) => {
    const seed = new Uint8Array(32).fill(1 + (index >> 3));
    const signer: KeySigner = index % 2 === 0 ? new Ed25519Signer(seed) : new Secp256k1Signer(seed);
    const profile = index % 4 < 2 ? ('xrpl' as const) : ('link' as const);
    const channelId = BigInt(index + 1);
    const row = rig.open({ channelId, profile, publicKey: signer.publicKey });
    return { channelId, profile, signer, ledgerId: rig.table.ledgerId(row).slice(), kind: index % 4 };
  });
  const seen = new Map<string, number>();
  for (let burst = 1; burst <= BURSTS; burst++) {
    rig.now += 10_000;
    const expected = new Map<bigint, string>();
    // One claim of a channel at a time, so that no newer claim covers it and each has its own answer.
    const order = channels.map((channel) => ({ channel, key: from.u32() })).sort((left, right) => left.key - right.key);
    for (const { channel } of order.slice(0, 1 + from.below(20))) {
      const { channelId, profile, ledgerId, kind } = channel;
      const fields = { channelId, sequence: burst * 4, amount: BigInt(burst * 4), timestamp: burst };
      const claim = claimBytes({ ...fields, signature: new Uint8Array(64) });
      const foreign = from.below(6) === 0;
      const signer = foreign ? channels[(Number(channelId) + 7) % 40]!.signer : channel.signer;
      signer.signClaim(claim, 0, ledgerId, profile);
      const spoiling = from.below(2) === 0 ? SPOILINGS[from.below(SPOILINGS.length)]! : undefined;
      if (spoiling !== undefined) claim[spoiling.at(from.below(64))]! ^= 1;
      const status = foreign || spoiling?.fails(profile) ? 'BAD_SIGNATURE' : 'COMMITTED';
      expected.set(channelId, status);
      seen.set(`${kind} ${status}`, (seen.get(`${kind} ${status}`) ?? 0) + 1);
      rig.datagram(claim, sourceOf('192.0.2.1', burst));
    }
    rig.turn();
    const answered = new Map(rig.takeAcks().map(({ channelId, status }) => [channelId, statusName(status)]));
    expect(new Map([...answered].sort()), `burst ${burst}`).toEqual(new Map([...expected].sort()));
  }
  expect(seen.size).toBe(8);
  expect(Math.min(...seen.values())).toBeGreaterThan(BURSTS / 4);
});
