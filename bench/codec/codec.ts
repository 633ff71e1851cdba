/** bench:codec: the cost of reading, writing and answering one claim, beside JSON doing the same. Main thread. */
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { ackNs, CLAIMS, decodeNs, encodeNs, jsonDecodeNs, sampleClaims } from './measures.ts';

const PASSES = 4_000;
const PASSES_QUICK = 1_000;

const claims = sampleClaims();

await runBench({ name: 'codec' }, ({ quick, note }: BenchContext): Figures => {
  const passes = quick ? PASSES_QUICK : PASSES;
  const decode = decodeNs(claims, passes);
  const encode = encodeNs(claims, passes);
  const ack = ackNs(passes);
  const json = jsonDecodeNs(claims, passes / 20);
  const sums = [decode, encode, ack, json].map(({ checksum }) => (checksum >>> 0).toString(16)).join(' ');
  note(`${passes * CLAIMS} claims; checksums of decode, encode, ack, json: ${sums}`);
  return {
    'codec.decodeNs': decode.ns,
    'codec.encodeNs': encode.ns,
    'codec.ackNs': ack.ns,
    'codec.jsonDecodeNs': json.ns,
    'codec.jsonToDecodeRatio': json.ns / decode.ns,
  };
});
