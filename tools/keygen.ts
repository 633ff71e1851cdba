/**
 * `claimwire keygen`: a new secp256k1 key, printed or kept in a file of mode 0600.
 *
 * Main thread of its own process.
 */
import { generateKey, writeKeyFile } from '../src/client/key-file.ts';
import { COMMON_FLAGS, readArgs, usage } from './args.ts';

const HELP = `Usage: claimwire keygen [--out FILE] [--json]

Makes a new secp256k1 key for payment channels.

  --out FILE   writes the key to a new file of mode 0600 (never over an old one)
               and prints its public key and path only
  --json       one JSON object: {privateKey, publicKey}, or {publicKey, path}
  --help       this text

Exit code: 0 fine, 1 the file could not be written, 2 usage.
`;

/** Runs the command; resolves to the exit code. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals } = readArgs(args, { ...COMMON_FLAGS, out: { type: 'string' } });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (positionals.length > 0) usage(`keygen: expected no operands, got ${positionals.length}`);
  if (values.out === '') usage('--out: expected a path, got nothing');
  const key = generateKey();
  if (values.out !== undefined) writeKeyFile(values.out, key);
  print(values.out === undefined ? { ...key } : { publicKey: key.publicKey, path: values.out }, values.json);
  return 0;
}

function print(fields: Record<string, string>, json: boolean): void {
  const lines = Object.entries(fields).map(([name, value]) => `${name} ${value}`);
  process.stdout.write(`${json ? JSON.stringify(fields) : lines.join('\n')}\n`);
}
