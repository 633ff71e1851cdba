/**
 * `claimwire keygen`: a new key for payment channels, printed or kept in a file of mode 0600.
 *
 * Main thread of its own process.
 */
import { generateKey, KEY_TYPES, writeKeyFile } from '../src/client/keys/key-file.ts';
import { usage } from './args.ts';
import { defineCommand } from './command.ts';
import { fieldLines, writeJson } from './output.ts';

export const command = defineCommand({
  name: 'keygen',
  summary: 'makes a key for payment channels',
  options: {
    type: {
      value: 'TYPE',
      description: 'the kind of key; a node verifies secp256k1 far faster',
      choices: KEY_TYPES,
      default: 'secp256k1',
    },
    out: {
      value: 'FILE',
      description:
        'writes the key to a new file of mode 0600, never over an old one, and prints its public key and path only',
      read: path,
    },
  },
  examples: [['claimwire keygen --out payer.json', 'a key that claimwire pay and channel open take with --key']],
  notes: `With --json one object: {privateKey, publicKey}, with --out also path. The PRIVATE KEY IS
PRINTED then, also with --out: keep it out of logs.

privateKey is 64 hex digits: the scalar of secp256k1, or the seed of Ed25519. publicKey is
66 hex digits, beginning 02 or 03, or ED for Ed25519.

Exit code: 0 fine, 1 the file could not be written, 2 usage.`,
  act: async ({ type, out, json }) => {
    const key = generateKey(type);
    if (out !== undefined) writeKeyFile(out, key);
    if (json) writeJson(out === undefined ? key : { ...key, path: out });
    else process.stdout.write(fieldLines(out === undefined ? key : { publicKey: key.publicKey, path: out }));
    return 0;
  },
});
export const { run } = command;

function path(text: string, flag: string): string {
  return text === '' ? usage(`${flag}: expected a path, got nothing`) : text;
}
