/**
 * The test that a backend must pass before it is trusted: it judges known claims, valid ones and ones that are wrong in one
 * way, in a small arena. Main thread, at start.
 */
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_SIGNATURE, FRAME_CLAIM, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import type { Channel } from '../channel/row.ts';
import type { ChannelTable } from '../channel/table.ts';
import { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { SLOT_ROW, VERDICT_INVALID, VERDICT_VALID } from '../ring/slot.ts';
import type { VerifyBackend } from './backend.ts';
import type { TableKind } from './kernel.ts';

/** Two claims signed by xrpl.js 5.3 with public test keys. */
const KNOWN = [
  {
    publicKey: '0257cf4f3929f535518d624292d62ace47e9da563d7dfa7ea4c6bc24258ab467b7',
    ledgerChannelId: '5db01b7ffed6b67e6b0414ded11e051d2ee2b7619ce0eaa6286d67a3a4d5bdb3',
    amount: 1_000_000n,
    signature:
      '7a942607efb90c9d38769330b3b540f7d83b3a38e7a621a59c9b6a51f3116d23' +
      '3bc45db3e6ca873dcac00ee6753fd982f9328a7bd3231b314c7195cad2b4f5a3',
  },
  {
    publicKey: '036c809a0e26d9f1f0760b644fad0dae73c2a91e973bf3bc631a3c5e642e45e2e8',
    ledgerChannelId: 'd4edb9530232ef171b8a71d2d99fdcfc696cdcd5eb127c0e1806b2c9535df80a',
    amount: 1n,
    signature:
      '0d1ed9b0e2643ac68bebde440fad3c3cf919038024d4cb3bdf40ef55cb7f7eed' +
      '5e9c292c659c0e1d84e944d7f3aaabd74e3f93dec254afb19cca9b191bd0cc6c',
  },
];

/** The slots of one round: each known claim unchanged and wrong in each way, twice. */
const SLOTS = 16;

export function selfTestArena(kernelBytes: number): Arena {
  return Arena.create({ kernelBytes, rings: 1, ringSlots: SLOTS, ackSlots: SLOTS, threads: 1, channelsMax: SLOTS });
}

/** From none to the largest, since a key keeps the largest that it has. */
const KINDS: readonly TableKind[] = ['none', 'tiny', 'small', 'large', 'huge'];

/**
 * Why the backend is wrong, or undefined. It judges all slots in one call, then each alone, as a quiet node does; where keys have
 * tables, with every kind of them. The first of two equal rounds makes the tables that the second uses.
 */
export function selfTestFault(
  arena: Arena,
  ring: ClaimRing,
  table: ChannelTable,
  create: () => VerifyBackend,
): string | undefined {
  const rows = KNOWN.map((known) => table.insert(trialChannel(unhex(known.ledgerChannelId), unhex(known.publicKey))));
  const backend = create();
  for (const kind of backend.forceTables === undefined ? [undefined] : KINDS) {
    backend.forceTables?.(kind);
    for (const batch of [SLOTS, SLOTS, 1]) {
      const fault = roundFault(arena, ring, rows, backend, batch);
      if (fault !== undefined) return kind === undefined ? fault : `${fault}; tables of keys: ${kind}`;
    }
  }
  backend.forceTables?.(undefined);
  return undefined;
}

function roundFault(
  arena: Arena,
  ring: ClaimRing,
  rows: readonly number[],
  backend: VerifyBackend,
  batch: number,
): string | undefined {
  const expected: number[] = [];
  for (let index = 0; index < SLOTS; index++) {
    const which = index % KNOWN.length;
    const slot = ring.tryNext();
    arena.bytes.set(claimOf(KNOWN[which]!, WRONGS[(index >> 1) % WRONGS.length]!), slot);
    arena.view.setUint32(slot + SLOT_ROW, rows[which]!, true);
    ring.push();
    expected.push((index >> 1) % WRONGS.length === 0 ? VERDICT_VALID : VERDICT_INVALID);
  }
  ring.publish();
  for (let index = 0; index < SLOTS; index += batch) {
    const count = ring.reserve(batch);
    backend.verifySlots(ring.first, count);
    for (let judged = 0; judged < count; judged++) {
      const verdict = ring.verdict((ring.first + judged) >>> 0);
      if (verdict !== expected[index + judged])
        return `expected verdict ${expected[index + judged]} for known claim ${index + judged}, got ${verdict}`;
    }
  }
  ring.release(ring.received);
  return undefined;
}

/** What is changed in a claim: nothing, or one bit of the amount, of r, or of s. */
const WRONGS: readonly ((claim: Uint8Array) => void)[] = [
  () => {},
  (claim) => flip(claim, CLAIM_AMOUNT + 7),
  (claim) => flip(claim, CLAIM_SIGNATURE + 31),
  (claim) => flip(claim, CLAIM_SIGNATURE + SIGNATURE_BYTES - 1),
];

function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

function flip(claim: Uint8Array, at: number): void {
  claim[at]! ^= 1;
}

function claimOf(known: (typeof KNOWN)[number], wrong: (claim: Uint8Array) => void): Uint8Array {
  const claim = new Uint8Array(CLAIM_BYTES);
  claim[0] = FRAME_CLAIM;
  new DataView(claim.buffer).setBigUint64(CLAIM_AMOUNT, known.amount);
  claim.set(unhex(known.signature), CLAIM_SIGNATURE);
  wrong(claim);
  return claim;
}

/** An open `xrpl` channel on which nothing is committed, for trials. Its handle is the first 8 bytes of its id. */
export function trialChannel(ledgerChannelId: Uint8Array, publicKey: Uint8Array): Channel {
  return {
    channelId: Buffer.from(ledgerChannelId).readBigUInt64BE(),
    ledgerChannelId,
    publicKey,
    capacity: 1n << 50n,
    committed: 0n,
    sequence: 0,
    timestampBits: 0n,
    signature: new Uint8Array(SIGNATURE_BYTES),
    profile: 'xrpl',
    state: 'open',
    expiresAt: 0,
  };
}
