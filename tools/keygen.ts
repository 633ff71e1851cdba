/**
 * `claimwire keygen`: a new key for payment channels, printed or kept in a file of mode 0600.
 *
 * Main thread of its own process.
 */
import { generateKey, KEY_TYPES, type KeyType, writeKeyFile } from '../src/client/keys/key-file.ts';
import { COMMON_FLAGS, readArgs, usage } from './args.ts';

const HELP = `Usage: claimwire keygen [--type secp256k1|ed25519] [--out FILE] [--json]

Makes a new key for payment channels.

  --type secp256k1|ed25519  the kind of key; default secp256k1, which a node verifies
                            far faster
  --out FILE                writes the key to a new file of mode 0600 (never over an old
                            one) and prints its public key and path only
  --json                    one JSON object: {privateKey, publicKey}, with --out also path.
                            The PRIVATE KEY IS PRINTED, also with --out: keep it out of logs
  --help                    this text

privateKey is 64 hex digits: the scalar of secp256k1, or the seed of Ed25519. publicKey is 66
hex digits, beginning 02 or 03, or ED for Ed25519.

Exit code: 0 fine, 1 the file could not be written, 2 usage.
`;

/** Runs the command; resolves to the exit code. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals } = readArgs(args, {
    ...COMMON_FLAGS,
    out: { type: 'string' },
    type: { type: 'string', default: 'secp256k1' },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (positionals.length > 0) usage(`keygen: expected no operands, got ${positionals.length}`);
  if (values.out === '') usage('--out: expected a path, got nothing');
  const key = generateKey(keyType(values.type));
  const path = values.out;
  if (path !== undefined) writeKeyFile(path, key);
  if (values.json) process.stdout.write(`${JSON.stringify(path === undefined ? key : { ...key, path })}\n`);
  else printLines(path === undefined ? { ...key } : { publicKey: key.publicKey, path });
  return 0;
}

function keyType(text: string): KeyType {
  return KEY_TYPES.find((type) => type === text) ?? usage(`--type: expected ${KEY_TYPES.join(' or ')}, got ${text}`);
}

function printLines(fields: Record<string, string>): void {
  process.stdout.write(
    Object.entries(fields)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(''),
  );
}
