/** What a channel is opened with, checked. Payer's thread. */
import { hexToBytes } from '@noble/hashes/utils.js';
import { LEDGER_CHANNEL_ID_BYTES, type ProfileName, U64_MAX } from '../../protocol/layout.ts';
import { invalid } from './claim-errors.ts';
import type { FlowIdentity } from './flow.ts';
import type { KeyPair } from './keys/key-pair.ts';
import type { Signer } from './keys/secp256k1-signer.ts';

/** A channel and the key that signs its claims. */
export interface ChannelIdentityOptions {
  /** 32 bytes, or 64 hex digits. */
  ledgerChannelId: Uint8Array | string;
  /** The u64 handle; by default the first 8 bytes of the ledger channel id. */
  channelId?: bigint;
  /** secp256k1 or Ed25519. Channels of one key share a Signer (keySigner), since a key pair is checked each time. */
  key: KeyPair | Signer;
  /** Default `xrpl`. */
  profile?: ProfileName;
}

/**
 * Throws ClaimwireError INPUT_INVALID or KEY_FILE_INVALID (a key whose halves do not match).
 * @param keySigner differs between Node and a page
 */
export function channelIdentity(
  { key, profile = 'xrpl', ...options }: ChannelIdentityOptions,
  keySigner: (key: KeyPair) => Signer,
): FlowIdentity {
  const ledgerChannelId = ledgerIdBytes(options.ledgerChannelId);
  const channelId = options.channelId ?? new DataView(ledgerChannelId.buffer).getBigUint64(0);
  if (profile !== 'xrpl' && profile !== 'link') throw invalid(`profile: expected xrpl or link, got ${profile}`);
  expectU64(channelId, 'channelId');
  return { channelId, ledgerChannelId, profile, signer: 'privateKey' in key ? keySigner(key) : key };
}

export function expectU64(value: bigint, name: string): void {
  if (value < 0n || value > U64_MAX) throw invalid(`${name}: expected 0..2^64-1, got ${value}`);
}

function ledgerIdBytes(id: Uint8Array | string): Uint8Array {
  if (typeof id === 'string') {
    if (/^[0-9a-f]{64}$/i.test(id)) return hexToBytes(id);
    throw invalid(`ledgerChannelId: expected 64 hex digits, got ${id.length} characters`);
  }
  if (id.length === LEDGER_CHANNEL_ID_BYTES) return id.slice();
  throw invalid(`ledgerChannelId: expected ${LEDGER_CHANNEL_ID_BYTES} bytes, got ${id.length}`);
}
