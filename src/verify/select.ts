/**
 * Which backend runs: the one asked for, or the fastest that passes its self-test. Main thread decides, workers create.
 */
import { PROFILE_XRPL } from '../../protocol/layout.ts';
import type { ChannelTable } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { BACKEND_NAMES, type BackendChoice, type BackendName, type VerifyBackend } from './backend.ts';
import { judgeOf, SlotBackend } from './slot-backend.ts';

/** A claim of 1,000,000 drops signed by xrpl.js 5.3 with a public test key: the self-test's known answer. */
const KNOWN = {
  preimage: '434c4d005db01b7ffed6b67e6b0414ded11e051d2ee2b7619ce0eaa6286d67a3a4d5bdb300000000000f4240',
  publicKey: '0257cf4f3929f535518d624292d62ace47e9da563d7dfa7ea4c6bc24258ab467b7',
  signature:
    '7a942607efb90c9d38769330b3b540f7d83b3a38e7a621a59c9b6a51f3116d233bc45db3e6ca873dcac00ee6753fd982f9328a7bd3231b314c7195cad2b4f5a3',
};

/** The backend that `choice` stands for on this machine. Throws BACKEND_UNAVAILABLE. */
export function resolveBackend(choice: BackendChoice): BackendName {
  const candidates = choice === 'auto' ? BACKEND_NAMES : [choice];
  const usable = candidates.find(passesSelfTest);
  if (usable === undefined)
    throw new ClaimwireError(
      'BACKEND_UNAVAILABLE',
      `backend: expected ${candidates.join(' or ')} to pass its self-test, got wrong verdicts; try --backend noble`,
    );
  return usable;
}

export function createBackend(name: BackendName, arena: Arena, ring: ClaimRing, table: ChannelTable): VerifyBackend {
  return new SlotBackend(name, arena, ring, table);
}

/** The known claim passes, and fails with one bit of its amount or of its signature changed. */
function passesSelfTest(name: BackendName): boolean {
  const judge = judgeOf(name);
  const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
  const flipped = (hex: string) => {
    const result = bytes(hex);
    result[result.length - 1]! ^= 1;
    return result;
  };
  const { preimage, signature, publicKey } = KNOWN;
  return (
    judge(PROFILE_XRPL, bytes(preimage), bytes(signature), bytes(publicKey)) &&
    !judge(PROFILE_XRPL, flipped(preimage), bytes(signature), bytes(publicKey)) &&
    !judge(PROFILE_XRPL, bytes(preimage), flipped(signature), bytes(publicKey))
  );
}
