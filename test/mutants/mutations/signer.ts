/** The batch signer for real keys: what it signs, what it checks before a signature leaves, and what it leaves in memory. */
import type { Mutation } from '../mutation.ts';

const SIGN = 'src/kernel/sign.c';
const VECTOR = 'src/kernel/sign_vector.h';

export const SIGNER: readonly Mutation[] = [
  {
    name: 'c-faulty-signatures-leave',
    file: SIGN,
    find: 'is_good &= room->verdicts[i] == CW_VALID',
    put: 'is_good |= room->verdicts[i] == CW_VALID',
    harm: 'A signature that a fault made wrong leaves, and can give the key away.',
    killer: { program: 'sign-scalar', says: 'is signed with' },
  },
  {
    name: 'c-nonce-of-n-kept',
    file: VECTOR,
    find: '(subtract_words(less, k, n) & nonzero) ^ 1',
    put: '(nonzero | subtract_words(less, k, n)) ^ 1',
    harm: 'A nonce that RFC 6979 rejects signs: one digest in 2^128 has another signature than everywhere else.',
    killer: { program: 'sign-parts-test', says: 'of a nonce that is' },
  },
  {
    name: 'c-high-s-signed',
    file: VECTOR,
    find: 'sign_mask(subtract_words(other, half, s) & 1);',
    put: 'sign_mask(subtract_words(other, half, s) & 0);',
    harm: 'Half of all signatures have the high s, which the ledger refuses; the check before they leave stops the payer.',
    killer: { program: 'sign-scalar', says: 'is not signed' },
  },
  {
    name: 'c-unchecked-signatures-written',
    file: SIGN,
    find: 'if (is_good) memcpy(signatures',
    put: 'memcpy(signatures',
    harm: 'A call that fails has given the faulty signature out all the same.',
    killer: { program: 'sign-scalar', says: 'something is written' },
  },
  {
    name: 'c-key-of-a-closed-signer-left',
    file: SIGN,
    find: '    cw_wipe(signer, sizeof *signer);\n',
    put: '',
    harm: 'A page with a key goes back to the system as it is.',
    killer: { program: 'sign-scalar', says: 'are left of keys' },
  },
  {
    name: 'c-nonces-left-in-memory',
    file: VECTOR,
    find: '    cw_wipe(w, SIGN_BYTES(groups));\n',
    put: '',
    harm: 'Nonces stay in memory, and one of them with its signature is the key.',
    killer: { program: 'sign-scalar', says: 'bytes behind' },
  },
  {
    name: 'c-faulty-signatures-left-in-memory',
    file: SIGN,
    find: '    cw_wipe(room->signatures, (size_t)count * 64);\n',
    put: '',
    harm: 'A faulty signature that was held back stays where another reader of memory finds it.',
    killer: { program: 'sign-scalar', says: 'a copy of signatures is left' },
  },
  {
    name: 'handed-over-key-kept',
    file: 'src/client/keys/secp256k1-signer.ts',
    find: '    this.#privateKey.fill(0);\n',
    put: '',
    harm: "The key lies in the engine's memory too, which is swapped and dumped.",
    killer: {
      file: 'test/unit/client/signer.test.ts',
      title: 'keeps no copy of a key that another signer has taken over',
    },
  },
];
