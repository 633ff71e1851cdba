/**
 * `claimwire prove`: what shows to a third party that a payer has promised an amount by a leaf of a signed root; and the check of such
 * a proof, for which nothing but the file is needed. Main thread of its own process.
 */

import { LEDGER_CHANNEL_ID_BYTES, PUBLIC_KEY_BYTES, U64_MAX } from '../protocol/layout.ts';
import { parseJson } from '../src/channel/json.ts';
import { leafProofHolds, leafProofJson, parseLeafProof } from '../src/channel/leaf-proof.ts';
import { defaultChannelId, parseDecimal, parseHex, upperHex } from '../src/channel/parse.ts';
import { ClaimwireError } from '../src/errors.ts';
import { AdminClient } from '../src/http/client.ts';
import { Ed25519Verifier } from '../src/verify/ed25519.ts';
import { verifyDigest } from '../src/verify/noble.ts';
import { readFile, usage } from './args.ts';
import { defineCommand } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { writeJson } from './output.ts';

export const command = defineCommand({
  name: 'prove',
  summary: 'the proof that a payer has promised an amount by a signed root, and its check',
  description: "prints the proof of a channel's newest committed leaf of a signed root; or checks one, without a node.",
  operands: { name: 'ID|--check FILE', count: 'any' },
  options: {
    check: { value: 'FILE', description: 'checks this proof; no node is asked' },
    key: { value: 'HEX66', description: "with --check: the payer's public key, which the proof must be of" },
    data: { value: 'DIR', description: 'the data folder of a node that is stopped, or was killed; no node is asked' },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire prove 6750926077978654334 > proof.json', 'for a third party'],
    ['claimwire prove 6750926077978654334 --data ./data', 'where the node does not run'],
    ['claimwire prove --check proof.json --key 0257CF…67B7', 'what it shows, or that it shows nothing'],
  ],
  notes: `A proof is the leaf (ledger channel, amount, sequence), its path to the root, and the payer's
signature of the root (protocol/README.md). Its key is the payer's only if you know that from
elsewhere: give it with --key. It shows a promise; the XRP Ledger pays for a claim alone.

Exit code: 0 the proof holds, 1 it does not or there is none, 2 usage.`,
  act: async (values, operands) => {
    const { check, key, data, json } = values;
    if (operands.length !== (check === undefined ? 1 : 0))
      usage(`prove: expected one ID or --check FILE, got ${operands.length} IDs`);
    if (check !== undefined && data !== undefined) usage('prove: expected --check or --data, got both');
    if (check !== undefined) return checkFile(check, key, json);
    if (key !== undefined) usage('prove: expected --key with --check, got it without');
    const [id = ''] = operands;
    const proof = data === undefined ? await AdminClient.open(adminAddress(values)).proof(id) : await proofIn(data, id);
    process.stdout.write(`${JSON.stringify(proof, undefined, json ? 0 : 2)}\n`);
    return 0;
  },
});
export const { run } = command;

/** As a node answers it (http/proofs.ts). */
async function proofIn(data: string, id: string): Promise<object> {
  const isLedgerId = id.length === 2 * LEDGER_CHANNEL_ID_BYTES;
  const channelId = isLedgerId
    ? defaultChannelId(parseHex(id, LEDGER_CHANNEL_ID_BYTES, 'ID'))
    : parseDecimal(id, 0n, U64_MAX, 'ID');
  // Loaded when it is needed: to ask a node takes no database.
  const { stoppedProof } = await import('../src/node/stopped-proof.ts');
  const proof = await stoppedProof(data, channelId);
  if (proof === undefined || (isLedgerId && upperHex(proof.ledgerChannelId) !== id.toUpperCase()))
    throw new ClaimwireError(
      'CHANNEL_UNKNOWN',
      `channel ${id}: expected one that a leaf of a signed root has paid, got none in ${data}`,
      { id },
    );
  return leafProofJson(channelId, proof);
}

function checkFile(file: string, key: string | undefined, json: boolean): number {
  const proof = parseLeafProof(parseJson(readFile(file, 'check'), file));
  const wanted = key === undefined ? undefined : upperHex(parseHex(key, PUBLIC_KEY_BYTES, 'key'));
  const actual = upperHex(proof.publicKey);
  const ed25519 = new Ed25519Verifier();
  const isSigned = leafProofHolds(proof, {
    secp256k1: verifyDigest,
    ed25519: (message, signature, publicKey) => ed25519.verify(message, signature, publicKey),
  });
  const reason =
    wanted !== undefined && wanted !== actual
      ? `expected a proof of the key ${wanted}, got one of ${actual}`
      : isSigned
        ? undefined
        : `expected a root signed by ${actual}, got another signature`;
  const { amount, leaves, index, sequence } = proof;
  const ledgerChannelId = upperHex(proof.ledgerChannelId);
  const holds = reason === undefined;
  if (json)
    writeJson({ holds, reason: reason ?? null, publicKey: actual, ledgerChannelId, amount: String(amount), sequence });
  else if (holds)
    process.stdout.write(
      `holds: the key ${actual} has promised ${amount} drops on ledger channel ${ledgerChannelId}, by leaf ${index} of ${leaves} under sequence ${sequence}\n`,
    );
  else process.stderr.write(`does not hold: ${reason}\n`);
  return holds ? 0 : 1;
}
