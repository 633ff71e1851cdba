/**
 * A kernel that is not this CPU's best, in a process of its own: the kernel is chosen once a process. When started as a program
 * this file measures: it answers with one `KernelRates`, and ends.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NativeSigner } from '../../src/native/batch-signer.ts';
import { endsWithBench } from '../node-under-test.ts';
import { besidePeer, bySecp256k1, PRIVATE_KEY, proven } from './rates.ts';

const file = fileURLToPath(import.meta.url);
const DIGESTS = 4_096;

export interface KernelRates {
  perSecond: number;
  peerPerSecond: number;
  proof: string;
}

/** The rates of a kernel, or why it cannot run here. */
export function kernelRates(kernel: string): Promise<KernelRates | string> {
  const child = endsWithBench(fork(file, { env: { ...process.env, CLAIMWIRE_KERNEL: kernel } }));
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as KernelRates | string));
    child.once('exit', (code) => reject(new Error(`expected rates of kernel ${kernel}, got exit code ${code}`)));
  });
}

function measured(): KernelRates | string {
  let signer: NativeSigner;
  try {
    signer = new NativeSigner(PRIVATE_KEY);
  } catch (error) {
    return (error as Error).message;
  }
  const sign = (digests: Uint8Array) => signer.signDigests(digests);
  const proof = proven(sign);
  return { ...besidePeer(sign, bySecp256k1, DIGESTS), proof };
}

if (process.argv[1] === file) process.send!(measured(), () => process.disconnect());
