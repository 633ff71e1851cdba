/** The codec beside copying the same bytes, and the ring with its threads beside its cursors alone. A process of its own. */
import { ackNs, decodeNs, encodeNs, memcpyNs, sampleClaims } from '../../codec/measures.ts';
import { measurePath, measureRing } from '../../ring/measures.ts';
import { inTurns } from '../measure.ts';
import type { PartArgs, PartResult } from '../part.ts';

/** Of the codec's passes; 25 of its batches divide it. */
const PASSES = 100;

export async function measureCodec({ effort }: PartArgs): Promise<PartResult> {
  const claims = sampleClaims();
  const lower = { unit: 'ns a claim', better: 'lower' as const };
  const values = await inTurns(
    [
      { name: 'codec.memcpyNs', ...lower, measure: () => memcpyNs(PASSES).ns },
      { name: 'codec.decodeNs', ...lower, measure: () => decodeNs(claims, PASSES).ns },
      { name: 'codec.encodeNs', ...lower, measure: () => encodeNs(claims, PASSES).ns },
      { name: 'codec.ackNs', ...lower, measure: () => ackNs(PASSES).ns },
    ],
    effort,
  );
  return Object.fromEntries(values);
}

export async function measureRings({ effort, seconds }: PartArgs): Promise<PartResult> {
  const higher = { unit: 'claims/s', better: 'higher' as const };
  const values = await inTurns(
    [
      { name: 'ring.claimsPerSecond', ...higher, measure: () => measurePath(seconds, () => {}) },
      { name: 'ring.cursorsClaimsPerSecond', ...higher, measure: () => measureRing(seconds) },
    ],
    effort,
  );
  return Object.fromEntries(values);
}
