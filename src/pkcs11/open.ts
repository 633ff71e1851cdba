/** A key in a token by its URI, with what the URI leaves out from the environment. Main thread. */
import { ClaimwireError } from '../errors.ts';
import { pinOf } from './pin.ts';
import { TokenKey } from './token-key.ts';
import { parsePkcs11Uri } from './uri.ts';

export const MODULE_VARIABLE = 'CLAIMWIRE_PKCS11_MODULE';

/** How a token is reached. */
export interface Pkcs11Options {
  /** The token's user pin. By default that of the URI's pin-source, of CLAIMWIRE_PKCS11_PIN, or of who sits at the terminal. */
  pin?: string | undefined;
  /** The library of the token, where the URI has no module-path. Default CLAIMWIRE_PKCS11_MODULE. */
  modulePath?: string | undefined;
  /** Signatures made at a time. Default 4. */
  sessions?: number | undefined;
}

/** Rejects with ClaimwireError INPUT_INVALID, DEPENDENCY_MISSING, PKCS11_PIN, PKCS11_LOST or PKCS11_FAILED. */
export async function openTokenKey(uri: string, options: Pkcs11Options = {}): Promise<TokenKey> {
  const parsed = parsePkcs11Uri(uri);
  const modulePath = parsed.modulePath ?? options.modulePath ?? process.env[MODULE_VARIABLE];
  if (modulePath === undefined) {
    const message = `pkcs11: expected ?module-path=/PATH of the token's library, or ${MODULE_VARIABLE}, got neither`;
    throw new ClaimwireError('INPUT_INVALID', message);
  }
  const pin = options.pin ?? (await pinOf(parsed));
  return await TokenKey.open(parsed, { modulePath, pin, sessions: options.sessions });
}
