/**
 * A process of test/kernel/sign-test.c, which signs with one kernel of the C library itself, without the addon. Bytes go in and
 * come back by pipes, in the order in which they are asked for.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { BUILD } from './native-make.ts';

export interface SignRequest {
  key: Uint8Array;
  blind: Uint8Array;
  digests: readonly Uint8Array[];
}
export interface Signed {
  publicKey: Buffer;
  signatures: Buffer;
}

export class SignProcess {
  readonly #child: ChildProcess;
  readonly #output: AsyncIterator<Buffer>;
  #received = Buffer.alloc(0);

  constructor(kernel: string, mode: 'stream' | 'nonces') {
    this.#child = spawn(join(BUILD, 'native/sign-test'), [kernel, mode], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#output = this.#child.stdout![Symbol.asyncIterator]();
  }

  async sign({ key, blind, digests }: SignRequest): Promise<Signed> {
    const count = Buffer.alloc(4);
    count.writeUInt32LE(digests.length);
    this.#child.stdin!.write(Buffer.concat([count, key, blind, ...digests]));
    const bytes = await this.#take(33 + 64 * digests.length);
    return { publicKey: bytes.subarray(0, 33), signatures: bytes.subarray(33) };
  }

  /** RFC 6979's nonce after so many rejected candidates; the digest is below n. */
  async nonce(key: Uint8Array, digest: Uint8Array, rejected: number): Promise<Buffer> {
    const count = Buffer.alloc(4);
    count.writeUInt32LE(rejected);
    this.#child.stdin!.write(Buffer.concat([count, key, digest]));
    return this.#take(32);
  }

  async close(): Promise<number | null> {
    this.#child.stdin!.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      const { value, done } = await this.#output.next();
      if (done) throw new Error(`expected ${length} bytes of the signer, got the end of its output`);
      this.#received = Buffer.concat([this.#received, value]);
    }
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }
}
