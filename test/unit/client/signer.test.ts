/** Signatures, compared with the published vectors, and key files. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verify } from '@noble/secp256k1';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { linkDigest, xrplDigest } from '../../../protocol/digest.ts';
import { CLAIM_SIGNATURE, CLAIM_TIMESTAMP } from '../../../protocol/layout.ts';
import { generateKey, keySigner, loadKeyFile, writeKeyFile } from '../../../src/client/keys/key-file.ts';
import { pairSigner } from '../../../src/client/keys/key-pair.ts';
import { Secp256k1Signer as PlainSigner } from '../../../src/client/keys/secp256k1-signer.ts';
import { Ed25519Signer, Secp256k1Signer } from '../../../src/client/keys/signer.ts';
import { nativeSigningFault } from '../../../src/native/batch-signer.ts';

const VECTORS = [
  {
    privateKey: 'BAA795362C6E48B9722325D0DCBD5A1E2CD4935C6CB12816DAEC50F87487BF84',
    publicKey: '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7',
    channel: '5DB01B7FFED6B67E6B0414DED11E051D2EE2B7619CE0EAA6286D67A3A4D5BDB3',
    amount: 1_000_000n,
    digest: 'FA66093AA143EDBC705DF728D0C3F247F7A1D0FCC71E00323ECCBCFA6B7EDDB1',
    signature:
      '7A942607EFB90C9D38769330B3B540F7D83B3A38E7A621A59C9B6A51F3116D23' +
      '3BC45DB3E6CA873DCAC00EE6753FD982F9328A7BD3231B314C7195CAD2B4F5A3',
  },
  {
    privateKey: 'D5AC9128C7E49A3E733F2E0B6E4047FA910062F7B1AA020397905CD33047A80F',
    publicKey: '036C809A0E26D9F1F0760B644FAD0DAE73C2A91E973BF3BC631A3C5E642E45E2E8',
    channel: 'D4EDB9530232EF171B8A71D2D99FDCFC696CDCD5EB127C0E1806B2C9535DF80A',
    amount: 1n,
    digest: '4CDF828F41411704915E702A999EE31FD10E25E383F98B3231146CCF98046CA4',
    signature:
      '0D1ED9B0E2643AC68BEBDE440FAD3C3CF919038024D4CB3BDF40EF55CB7F7EED' +
      '5E9C292C659C0E1D84E944D7F3AAABD74E3F93DEC254AFB19CCA9B191BD0CC6C',
  },
];
const V1 = VECTORS[0]!;
const KEY = { privateKey: V1.privateKey, publicKey: V1.publicKey };
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase();
const bytes = (digits: string): Uint8Array => Uint8Array.from(Buffer.from(digits, 'hex'));

/** A claim with an empty signature, somewhere inside a larger buffer. */
function unsigned(amount: bigint, offset: number): Uint8Array {
  const claim = claimBytes({ channelId: 7n, sequence: 3, amount, signature: new Uint8Array(64), timestamp: 1.5 });
  const buffer = new Uint8Array(offset + claim.length + 5);
  buffer.set(claim, offset);
  return buffer;
}

describe('the signer of many claims', () => {
  it('keeps no copy of a key that another signer has taken over', () => {
    let copy: Uint8Array = new Uint8Array();
    class Handing extends PlainSigner {
      give() {
        const signDigests = (digests: Uint8Array) => digests;
        return this.handOver((privateKey) => {
          copy = privateKey;
          expect(hex(copy)).toBe(V1.privateKey);
          return { signDigests };
        });
      }
    }
    new Handing(bytes(V1.privateKey)).give();
    expect(hex(copy)).toBe('00'.repeat(32));
  });

  it('has the same key and makes the same bytes before and after the addon has taken over', () => {
    const privateKey = bytes(V1.privateKey);
    const signer = new Secp256k1Signer(privateKey);
    const before = signer.sign(bytes(V1.digest));
    const { signBatch } = signer;
    expect(signBatch === undefined).toBe(nativeSigningFault() !== undefined);
    expect(hex(privateKey)).toBe(V1.privateKey);
    expect([signer.sign(bytes(V1.digest)), signer.sign(bytes(V1.digest))]).toEqual([before, before]);
    expect(hex(before)).toBe(V1.signature);
    expect(hex(signer.publicKey)).toBe(V1.publicKey);
    expect(() => signer.sign(new Uint8Array(31))).toThrow(RangeError);
  });

  it.skipIf(nativeSigningFault() !== undefined)('signs claims in place as signClaim does', () => {
    const signer = new Secp256k1Signer(bytes(V1.privateKey));
    const [batch, single] = [unsigned(V1.amount, 0), unsigned(V1.amount, 0)];
    signer.signClaim(single, 0, bytes(V1.channel), 'link');
    signer.signBatch!(batch, bytes(V1.channel), Uint8Array.of(1), 1);
    expect(batch).toEqual(single);
    signer.signBatch!(batch, bytes(V1.channel), Uint8Array.of(0), 1);
    expect(hex(batch.subarray(CLAIM_SIGNATURE, CLAIM_SIGNATURE + 64))).toBe(V1.signature);
  });

  it('one of a page never has it, and Ed25519 has none', () => {
    expect(pairSigner(KEY).signBatch).toBeUndefined();
    expect(keySigner(generateKey('ed25519')).signBatch).toBeUndefined();
  });
});

describe('signer', () => {
  it.each(VECTORS)('signs $amount drops as the vector does (RFC 6979, low-S)', (vector) => {
    const signer = keySigner(vector);
    expect(hex(signer.publicKey)).toBe(vector.publicKey);
    const buffer = unsigned(vector.amount, 11);
    const before = buffer.slice();
    signer.signClaim(buffer, 11, bytes(vector.channel), 'xrpl');
    expect(hex(xrplDigest(bytes(vector.channel), buffer, 11))).toBe(vector.digest);
    const at = 11 + CLAIM_SIGNATURE;
    expect(hex(buffer.subarray(at, at + 64))).toBe(vector.signature);
    buffer.fill(0, at, at + 64);
    expect(buffer).toEqual(before);
  });

  it('covers sequence and timestamp for link, and nothing but the amount for xrpl', () => {
    const signer = keySigner(V1);
    const ledger = bytes(V1.channel);
    for (const profile of ['xrpl', 'link'] as const) {
      const claim = unsigned(5n, 0);
      signer.signClaim(claim, 0, ledger, profile);
      const signature = claim.slice(CLAIM_SIGNATURE, CLAIM_SIGNATURE + 64);
      const digest = profile === 'link' ? linkDigest : xrplDigest;
      const holds = (): boolean => verify(signature, digest(ledger, claim), signer.publicKey, { prehash: false });
      expect(holds()).toBe(true);
      claim[CLAIM_TIMESTAMP]! ^= 1;
      expect(holds()).toBe(profile === 'xrpl');
    }
  });

  it('takes 32-byte digests and private keys only', () => {
    expect(() => new Secp256k1Signer(bytes(V1.privateKey)).sign(new Uint8Array(64))).toThrow(
      'digest: expected 32 bytes, got 64',
    );
    expect(() => new Secp256k1Signer(new Uint8Array(32))).toThrow('private key: expected 32 bytes in 1..n-1');
  });
});

describe('Ed25519 signer', () => {
  /** RFC 8032, tests 1 to 3: seed and public key; what they sign is the claim's preimage, so the vector has no claim. */
  it.each([
    [
      '9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60',
      'D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A',
    ],
    [
      '4CCD089B28FF96DA9DB6C346EC114E0F5B8A319F35ABA624DA8CF6ED4FB8A6FB',
      '3D4017C3E843895A92B70AA74D1B7EBC9C982CCF2EC4968CC0CD55F12AF4660C',
    ],
    [
      'C5AA8DF43F9F837BEDB7442F31DCB7B166D38535076F094B85CE3A2E0B4458F7',
      'FC51CD8E6218A1A38DA47ED00230F0580816ED13BA3303AC5DEB911548908025',
    ],
  ])('makes the public key of seed %s', (privateKey, publicKey) => {
    expect(hex(keySigner({ privateKey, publicKey: `ED${publicKey}` }).publicKey)).toBe(`ED${publicKey}`);
  });

  it('signs as the vectors do, both profiles, and touches nothing else of the claim', () => {
    const vectors = ed25519Vectors();
    expect(vectors.map(({ profile }) => profile)).toEqual(['xrpl', 'link']);
    for (const { profile, privateKey, publicKey, ledgerChannelId, wire } of vectors) {
      const expected = bytes(`${'00'.repeat(11)}${wire}${'00'.repeat(5)}`);
      const buffer = expected.slice();
      buffer.fill(0, 11 + CLAIM_SIGNATURE, 11 + CLAIM_TIMESTAMP);
      new Ed25519Signer(bytes(privateKey)).signClaim(buffer, 11, bytes(ledgerChannelId), profile);
      expect(buffer).toEqual(expected);
      expect(hex(new Ed25519Signer(bytes(privateKey)).publicKey)).toBe(publicKey.toUpperCase());
    }
  });

  it('takes seeds of 32 bytes only', () => {
    for (const length of [0, 31, 33, 64])
      expect(() => new Ed25519Signer(new Uint8Array(length))).toThrow(`private key: expected 32 bytes, got ${length}`);
  });
});

interface ClaimVector {
  profile: 'xrpl' | 'link';
  algorithm: string;
  privateKey: string;
  publicKey: string;
  ledgerChannelId: string;
  wire: string;
}

function ed25519Vectors(): ClaimVector[] {
  const { vectors } = JSON.parse(
    readFileSync(new URL('../../../protocol/vectors/claims.json', import.meta.url), 'utf8'),
  );
  return vectors.filter(({ algorithm }: ClaimVector) => algorithm === 'ed25519');
}

describe('key file', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'claimwire-key-'));
    path = join(folder, 'key.json');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it.each([
    [undefined, /^0[23][0-9A-F]{64}$/],
    ['secp256k1', /^0[23][0-9A-F]{64}$/],
    ['ed25519', /^ED[0-9A-F]{64}$/],
  ] as const)('%s comes back as written, readable by its owner alone, and is never written over', (type, publicKey) => {
    const key = generateKey(type);
    expect(key.privateKey).toMatch(/^[0-9A-F]{64}$/);
    expect(key.publicKey).toMatch(publicKey);
    expect(generateKey(type).privateKey).not.toBe(key.privateKey);
    writeKeyFile(path, key);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(loadKeyFile(path)).toEqual(key);
    expect(() => writeKeyFile(path, generateKey())).toThrow(/expected a path where a new file can be made, got EEXIST/);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(key);
  });

  it.each([0o644, 0o640, 0o602, 0o610])('is refused with mode %o', (mode) => {
    writeKeyFile(path, generateKey());
    chmodSync(path, mode);
    expect(() => loadKeyFile(path)).toThrow(`expected mode 0600, got 0${mode.toString(8)}, do chmod 600 ${path}`);
  });

  it.each([
    ['no file', undefined, 'got ENOENT'],
    ['no JSON', '{', 'expected JSON'],
    ['null', 'null', 'publicKey: expected 66 hex digits (upper case), got undefined'],
    ['a short key', JSON.stringify({ ...KEY, privateKey: 'AB' }), 'privateKey: expected 64 hex digits'],
    ['no number', JSON.stringify({ ...KEY, privateKey: 'F'.repeat(64) }), 'privateKey: expected 1..n-1'],
    ['another public key', JSON.stringify({ ...KEY, publicKey: VECTORS[1]!.publicKey }), `expected ${V1.publicKey}`],
    [
      'an Ed25519 key of another seed',
      JSON.stringify({ ...KEY, publicKey: `ED${'0'.repeat(64)}` }),
      'publicKey: expected ED',
    ],
    ['a long file', ' '.repeat(5000), 'got more than 4096 bytes'],
  ])('is refused when it is %s', (_, text, message) => {
    if (text !== undefined) writeFileSync(path, text, { mode: 0o600 });
    let thrown: Error | undefined;
    try {
      loadKeyFile(path);
    } catch (error) {
      thrown = error as Error;
    }
    expect(thrown).toMatchObject({ code: 'KEY_FILE_INVALID', message: expect.stringContaining(message) });
    expect(thrown?.message).not.toContain(V1.privateKey);
  });

  it('takes lower-case hex', () => {
    writeFileSync(path, JSON.stringify({ privateKey: V1.privateKey.toLowerCase(), publicKey: V1.publicKey }), {
      mode: 0o600,
    });
    expect(loadKeyFile(path)).toEqual(KEY);
  });
});
