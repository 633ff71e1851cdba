/** How a node redeems: its wallet and its policy. Checked once, at start. */
import { ClaimwireError } from '../errors.ts';
import { isTokenUri } from '../pkcs11/uri.ts';
import type { RedeemPolicySettings } from './redeem-policy.ts';
import type { Wallet } from './signing.ts';
import { fileWallet } from './wallet.ts';
import { commandWallet } from './wallet-command.ts';
import { tokenWallet } from './wallet-pkcs11.ts';
import { loadXrpl } from './xrpl-library.ts';

/** Where the key is: in a file or a token (a pkcs11: URI), or with a command that signs. */
export interface WalletOptions {
  file?: string | undefined;
  command?: string | undefined;
}

/** What an operator says of redeeming. */
export interface RedeemOptions extends Pick<RedeemPolicySettings, 'aboveDrops' | 'everySeconds'> {
  wallet: WalletOptions;
  /** Drops that a transaction may cost. Default 1,000: a hundred times what one costs in calm. */
  feeMaxDrops?: bigint | undefined;
}

export const FEE_MAX_DROPS = 1_000n;

/**
 * The wallet of an account.
 * @throws ClaimwireError WALLET_INVALID, DEPENDENCY_MISSING
 */
export async function openWallet({ file, command }: WalletOptions, account?: string): Promise<Wallet> {
  if ((file === undefined) === (command === undefined))
    throw new ClaimwireError('WALLET_INVALID', 'wallet: expected a file or a command that signs, got both or neither');
  const xrpl = await loadXrpl();
  if (command !== undefined) {
    if (account !== undefined) return commandWallet(command, account, xrpl);
    throw new ClaimwireError('WALLET_INVALID', 'wallet: expected the account that the command signs for, got none');
  }
  const wallet = isTokenUri(file!) ? await tokenWallet(file!, xrpl) : fileWallet(file!, xrpl);
  if (account === undefined || wallet.address === account) return wallet;
  const remedy = 'where the account has a regular key, sign by a command';
  throw new ClaimwireError(
    'WALLET_INVALID',
    `wallet ${file}: expected the key of ${account}, got that of ${wallet.address}; ${remedy}`,
  );
}
