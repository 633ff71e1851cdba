/**
 * Accounts for tests on the test ledger: keys made from a name, and transactions signed without asking any server.
 *
 *     const payer = testWallet('payer');
 *     ledger.submit(payer.sign({ TransactionType: 'PaymentChannelCreate', Sequence: 1, ... }));
 */
import { createHash } from 'node:crypto';
import { encode, encodeForSigning } from 'ripple-binary-codec';
import { deriveAddress, deriveKeypair, generateSeed } from 'ripple-keypairs';
import { channelIndex } from './entries.ts';
import { sign } from './signatures.ts';
import type { TestLedger } from './test-ledger.ts';

type Json = Parameters<typeof encode>[0];

export interface TestWallet {
  address: string;
  publicKey: string;
  privateKey: string;
  /** As wallets' files keep it: s… or, for Ed25519, sEd… */
  seed: string;
  /** A signed blob. Fee is 10 drops unless given. */
  sign(tx: Record<string, unknown>): string;
  /** DER or Ed25519 in hex, as a PaymentChannelClaim has it. */
  signClaim(channel: string, drops: bigint): string;
}

/** The same name always gives the same wallet. Nobody may ever fund these. */
export function testWallet(name: string, algorithm: 'ecdsa-secp256k1' | 'ed25519' = 'ecdsa-secp256k1'): TestWallet {
  const entropy = createHash('sha512').update(name).digest().subarray(0, 16);
  const seed = generateSeed({ entropy, algorithm });
  const { publicKey, privateKey } = deriveKeypair(seed);
  const address = deriveAddress(publicKey);
  return {
    address,
    publicKey,
    privateKey,
    seed,
    sign(tx) {
      const unsigned = { Account: address, Fee: '10', ...tx, SigningPubKey: publicKey };
      return encode({ ...unsigned, TxnSignature: sign(encodeForSigning(unsigned as Json), privateKey) } as Json);
    },
    signClaim: (channel, drops) => sign(`434C4D00${channel}${drops.toString(16).padStart(16, '0')}`, privateKey),
  };
}

/** A channel on the ledger, made by a real PaymentChannelCreate that is validated by now. Its id, in hex. */
export function createTestChannel(
  ledger: TestLedger,
  payer: TestWallet,
  payee: { address: string },
  options: { drops?: bigint; settleDelay?: number; cancelAfter?: number; publicKey?: string } = {},
): string {
  const { Sequence } = ledger.account(payer.address);
  const code = ledger.submit(
    payer.sign({
      TransactionType: 'PaymentChannelCreate',
      Sequence,
      Destination: payee.address,
      Amount: String(options.drops ?? 1_000_000n),
      SettleDelay: options.settleDelay ?? 3600,
      PublicKey: options.publicKey ?? payer.publicKey,
      ...(options.cancelAfter !== undefined && { CancelAfter: options.cancelAfter }),
      ...(ledger.chain.rules.networkId > 1024 && { NetworkID: ledger.chain.rules.networkId }),
    }),
  );
  if (code !== 'tesSUCCESS') throw new Error(`expected tesSUCCESS, got ${code}`);
  ledger.closeLedger();
  return channelIndex(payer.address, payee.address, Sequence);
}
