/**
 * bench:sign: signatures a second of the batch signer, its own check of them included, beside libsecp256k1; and what a payer
 * with a real key reaches over UDP on one core.
 *
 * Rates of signers are per second of processor time; those of the payer per second of wall time, and per second of its processor time:
 * they agree where nothing else runs on its core. `--payer` measures the payer
 * alone, `--signers` the signers alone.
 */

import { Secp256k1Signer } from '../../src/client/keys/secp256k1-signer.ts';
import { NativeSigner, nativeSigningFault } from '../../src/native/batch-signer.ts';
import { WasmSigner } from '../../src/verify/wasm-signer.ts';
import { type BenchContext, type BenchOptions, type Figures, runBench } from '../harness.ts';
import { benchFolder } from '../node-under-test.ts';
import { median } from '../verify/claims.ts';
import { peerVersions } from '../verify/peers.ts';
import { measurePayer, SIZES } from './payer.ts';
import { kernelRates } from './process.ts';
import {
  besidePeer,
  bySecp256k1,
  byTinySecp256k1,
  eachDigest,
  PRIVATE_KEY,
  pass,
  proven,
  type SignDigests,
} from './rates.ts';

const OTHER_KERNELS = ['scalar', 'avx2', 'avx512f'];
const BATCHES = [1, 8, 32, 64, 128];
const DIGESTS = 8_192;
const WASM_DIGESTS = 2_048;
const TINY_DIGESTS = 128;
const NOBLE_DIGESTS = 128;
const SINGLES = 512;
const ROUNDS = 5;

function measureNative(note: BenchContext['note']): Figures {
  const signer = new NativeSigner(PRIVATE_KEY);
  const sign: SignDigests = (digests) => signer.signDigests(digests);
  note(`native ${signer.kernelName}: ${proven(sign)}${signer.note && `; ${signer.note}`}`);
  const { perSecond, peerPerSecond } = besidePeer(sign, bySecp256k1, DIGESTS);
  const rate = (batch: number, count: number) => median(Array.from({ length: ROUNDS }, () => pass(sign, count, batch)));
  return {
    'sign.native.perSecond': perSecond,
    'sign.native.vsSecp256k1': perSecond / peerPerSecond,
    'sign.secp256k1.perSecond': peerPerSecond,
    ...Object.fromEntries(
      BATCHES.map((batch) => [`sign.native.batchPerSecond.${batch}`, rate(batch, batch === 1 ? SINGLES : DIGESTS / 2)]),
    ),
  };
}

async function measureOtherKernels(note: BenchContext['note']): Promise<Figures> {
  const figures: Figures = {};
  for (const kernel of OTHER_KERNELS) {
    const rates = await kernelRates(kernel);
    if (typeof rates === 'string') {
      note(`SKIPPED: kernel ${kernel} has no figures here: ${rates}`);
      continue;
    }
    figures[`sign.${kernel}.perSecond`] = rates.perSecond;
    figures[`sign.${kernel}.vsSecp256k1`] = rates.perSecond / rates.peerPerSecond;
    note(`kernel ${kernel}: ${rates.proof}`);
  }
  return figures;
}

function measurePortable(note: BenchContext['note']): Figures {
  const wasm = new WasmSigner(PRIVATE_KEY);
  const signWasm: SignDigests = (digests) => wasm.signDigests(digests);
  note(`wasm: ${proven(signWasm)}`);
  const besideTiny = besidePeer(signWasm, byTinySecp256k1, WASM_DIGESTS, TINY_DIGESTS);
  const noble = new Secp256k1Signer(PRIVATE_KEY);
  const sign: SignDigests = (digests) => eachDigest(digests, (digest) => noble.sign(digest));
  note(`noble: ${proven(sign)}`);
  return {
    'sign.wasm.perSecond': besideTiny.perSecond,
    'sign.wasm.vsTinySecp256k1': besideTiny.perSecond / besideTiny.peerPerSecond,
    'sign.tinySecp256k1.perSecond': besideTiny.peerPerSecond,
    'sign.noble.perSecond': median(Array.from({ length: ROUNDS }, () => pass(sign, NOBLE_DIGESTS, 1))),
  };
}

const options: BenchOptions = { name: 'sign', repeats: 3, flags: ['payer', 'signers'] };
const folder = benchFolder('sign');
await runBench(options, async (context) => {
  const { flags, note } = context;
  const fault = nativeSigningFault();
  options.backend = `${fault === undefined ? 'native' : 'native ABSENT'}, wasm, noble; peers ${peerVersions()}`;
  const figures: Figures = {};
  if (fault !== undefined) note(`ABSENT: no native signer: ${fault}`);
  if (!flags.has('payer')) {
    if (fault === undefined) Object.assign(figures, measureNative(note), await measureOtherKernels(note));
    Object.assign(figures, measurePortable(note));
  }
  if (!flags.has('signers'))
    for (const size of SIZES) Object.assign(figures, await measurePayer(folder, size, context));
  return figures;
});
