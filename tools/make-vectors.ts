/**
 * Writes protocol/vectors: `node dist/tools/make-vectors.js [DIR]`. Deterministic: a test compares the committed files.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ackVectors, claimVectors } from './vectors/claims.ts';
import { controlVectors, resumeVectors, streamVectors } from './vectors/control.ts';
import { edgeVectors, rfc6979Vectors } from './vectors/ecdsa.ts';
import { merkleVectors } from './vectors/merkle.ts';
import { refusalVectors, walkVectors } from './vectors/refusals.ts';
import { sessionVectors } from './vectors/session.ts';
import { shardVectors } from './vectors/shards.ts';

const WARNING = 'Every key here is public: never fund one. Bytes are hex; u64 fields are decimal strings.';

function file(about: string, vectors: readonly object[]): string {
  return `${JSON.stringify({ about: `${about} ${WARNING}`, vectors }, null, 2)}\n`;
}

/** Every vector file by name, as text. */
export function makeVectors(): Map<string, string> {
  return new Map([
    [
      'claims.json',
      file('Sound claims of both profiles: what is signed, the signature, the wire bytes.', claimVectors()),
    ],
    ['acks.json', file('An ack of every status.', ackVectors())],
    ['refusals.json', file('Claims a node refuses, and their sound neighbours: the status of each.', refusalVectors())],
    ['walks.json', file('Datagrams: frames handed out (c claim, a ack) and how the walk ends.', walkVectors())],
    ['resume.json', file('Signatures offered for resume: what they cover, and whether they hold.', resumeVectors())],
    ['session.json', file('Session tokens, what they cover, and whether they hold.', sessionVectors())],
    [
      'control.json',
      file(
        'Control messages from their first byte on: the request or reply, or the code of the refusal.',
        controlVectors(),
      ),
    ],
    [
      'streams.json',
      file(
        'TCP streams: each message as control, or as its frames (c claim, a ack), and where the stream ends.',
        streamVectors(),
      ),
    ],
    ['shards.json', file('Handles of channels, and the shard of each.', shardVectors())],
    [
      'merkle.json',
      file(
        'Merkle batches. Channel i of each has the ledger id SHA-256("claimwire/vector/" ‖ u32 i), whose first 8 bytes are its handle, and the amount 1000000 + i.',
        merkleVectors(),
      ),
    ],
    ['rfc6979.json', file('Deterministic signatures, SHA-256 of the message, low-S.', rfc6979Vectors())],
    ['ecdsa.json', file('Edges of the signature check; valid means valid and s ≤ n/2.', edgeVectors())],
  ]);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const directory = process.argv[2] ?? 'protocol/vectors';
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of makeVectors()) writeFileSync(join(directory, name), text);
}
