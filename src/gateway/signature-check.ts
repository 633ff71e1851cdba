/**
 * Signatures that the gateway checks itself, because no claim goes through the node: of session tokens, and of vouchers that
 * pay nothing new. OpenSSL takes half a millisecond for one, so their rate is bounded. Main thread.
 */
import { claimBytes } from '../../protocol/claim.ts';
import { xrplPreimage } from '../../protocol/digest.ts';
import { ED25519_KEY_PREFIX, PROFILE_LINK, PROFILE_XRPL } from '../../protocol/layout.ts';
import type { Clock } from '../system/system.ts';
import { Ed25519Verifier } from '../verify/ed25519.ts';
import { OpensslVerifier } from '../verify/openssl.ts';

/** At most a sixth of the main thread's time. */
const PER_SECOND_MAX = 300;

/** `busy`: not checked, ask again in a second. */
export type SignatureVerdict = 'valid' | 'invalid' | 'busy';

export class SignatureCheck {
  readonly #ecdsa = new OpensslVerifier();
  readonly #ed25519 = new Ed25519Verifier();
  readonly #clock: Pick<Clock, 'monotonic'>;
  #checked = 0;
  #since = 0;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** A claim's signature, by the ledger's rules. */
  claim(ledgerChannelId: Uint8Array, amount: bigint, signature: Uint8Array, publicKey: Uint8Array): SignatureVerdict {
    const claim = claimBytes({ channelId: 0n, sequence: 0, amount, signature, timestamp: 0 });
    return this.#check(PROFILE_XRPL, xrplPreimage(ledgerChannelId, claim), signature, publicKey);
  }

  /** A message's signature, by the rules of the `link` profile. */
  message(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): SignatureVerdict {
    return this.#check(PROFILE_LINK, message, signature, publicKey);
  }

  #check(profile: number, preimage: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): SignatureVerdict {
    const second = Math.floor(this.#clock.monotonic() / 1_000);
    if (second !== this.#since) {
      this.#since = second;
      this.#checked = 0;
    }
    if (++this.#checked > PER_SECOND_MAX) return 'busy';
    const isValid =
      publicKey[0] === ED25519_KEY_PREFIX
        ? this.#ed25519.verify(preimage, signature, publicKey)
        : this.#ecdsa.verify(profile, preimage, signature, publicKey);
    return isValid ? 'valid' : 'invalid';
  }
}
