/**
 * What an audit worker gets of one claim, declared once for both sides: the claim, then what its channel is registered
 * with. Touches no memory.
 */
import { CLAIM_BYTES, LEDGER_CHANNEL_ID_BYTES, PUBLIC_KEY_BYTES } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';

export const AUDIT = { claim: 0, publicKey: 93, ledgerChannelId: 126, profile: 158 } as const;
export const AUDIT_BYTES = 160;
assert(AUDIT.publicKey === CLAIM_BYTES, 'the key follows the claim');
assert(AUDIT.profile === AUDIT.publicKey + PUBLIC_KEY_BYTES + LEDGER_CHANNEL_ID_BYTES, 'id and profile follow the key');
