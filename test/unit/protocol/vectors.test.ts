/**
 * The checked-in vectors: they are what the generator makes, and the code under test agrees with every one of them.
 */

import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeAck } from '../../../protocol/ack.ts';
import { claimBytes, decodeClaim } from '../../../protocol/claim.ts';
import {
  type ControlRequest,
  isBestClaimResult,
  isHelloResult,
  parseControlReply,
  parseControlRequest,
  resumePreimage,
} from '../../../protocol/control.ts';
import { decodeControl } from '../../../protocol/control-codec.ts';
import { linkDigest, linkPreimage, xrplDigest, xrplPreimage } from '../../../protocol/digest.ts';
import { WALK_CUT_FRAME, WALK_EMPTY, WALK_UNKNOWN_TYPE, WALK_WHOLE, walkFrames } from '../../../protocol/frames.ts';
import {
  CLAIM_TIMESTAMP,
  MERKLE_FRAME_BYTES_MAX,
  PAYLOAD_CONTROL,
  STATUS,
  statusName,
} from '../../../protocol/layout.ts';
import { buildTree, portableTreeHash, rootDigest, rootPreimage } from '../../../protocol/merkle.ts';
import {
  emptyFrameHead,
  frameRoot,
  readFrameHead,
  type SignedTree,
  writeFrame,
} from '../../../protocol/merkle-frame.ts';
import { parseRoute } from '../../../protocol/route.ts';
import { decodeSessionToken, encodeSessionToken, sessionPreimage } from '../../../protocol/session.ts';
import { STREAM_LENGTH_OVER_MAX, STREAM_LENGTH_ZERO, STREAM_SOUND, StreamParser } from '../../../protocol/stream.ts';
import type { Counters } from '../../../src/ring/counters.ts';
import { ConnectionControl } from '../../../src/transport/tcp-control.ts';
import { verifyDigest } from '../../../src/verify/noble.ts';
import { makeVectors } from '../../../tools/make-vectors.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const viewOf = (value: Uint8Array): DataView => new DataView(value.buffer, value.byteOffset, value.byteLength);

/** The fields of all files together; each file has some of them. */
interface Vector
  extends Record<'name' | 'profile' | 'algorithm' | 'publicKey' | 'ledgerChannelId' | 'channelId', string> {
  amount: string;
  timestampBits: string;
  preimage: string;
  digest: string;
  signature: string;
  der: string;
  wire: string;
  message: string;
  sequence: number;
  status: number;
  statusName: string;
  frames: string;
  end: 'EMPTY' | 'WHOLE' | 'CUT_FRAME' | 'UNKNOWN_TYPE';
  nonce: string;
  realm: string;
  token: string;
  payload: string;
  request: ControlRequest | undefined;
  refusal: { id: number; code: string } | undefined;
  reply: Record<string, unknown> | undefined;
  stream: string;
  messages: string[];
  valid: boolean;
  channel: { profile: string; ledgerChannelId: string; publicKey: string };
}

function load(name: string): Vector[] {
  const url = new URL(`../../../protocol/vectors/${name}`, import.meta.url);
  const { vectors } = JSON.parse(readFileSync(url, 'utf8'));
  expect(vectors.length).toBeGreaterThan(0);
  return vectors;
}

/** The messages of the spec's worked exchange: their bytes, and their maps as JSON. */
function workedExchange(): { from: string; wire: Uint8Array; message: Record<string, unknown> }[] {
  const spec = readFileSync(new URL('../../../protocol/README.md', import.meta.url), 'utf8');
  const block = /### A worked exchange\n[^`]*(?:`[^`\n]+`[^`]*)*```text\n(.*?)```/s.exec(spec)![1]!;
  return block.split(/^(?=[<>] )/m).map((text) => {
    const [hexLines, json] = text.slice(2).split(/^ {2}(?={)/m) as [string, string];
    const message = JSON.parse(json.replaceAll(/\n */g, ''));
    return { from: text[0]!, wire: bytes(hexLines.replaceAll(/\s/g, '')), message };
  });
}

describe('vectors', () => {
  it('the worked exchange of the spec: its bytes are its JSON, and both signatures hold', () => {
    const exchange = workedExchange();
    for (const { wire, message } of exchange) {
      expect([viewOf(wire).getUint32(0), wire[4]]).toEqual([wire.length - 4, PAYLOAD_CONTROL]);
      expect(decodeControl(wire, 5, wire.length)).toEqual(message);
    }
    expect(exchange.map(({ from, message }) => `${from} ${message.type ?? message.ok}`)).toEqual([
      '> hello',
      '< true',
      '> resume',
      '< true',
    ]);
    const [, hello, resume, best] = exchange.map(({ message }) => message) as Record<string, string>[];
    const { publicKey, ledgerChannelId } = load('refusals.json')[0]!.channel;
    const preimage = resumePreimage(bytes(ledgerChannelId), bytes(hello!.nonce!));
    const spec = readFileSync(new URL('../../../protocol/README.md', import.meta.url), 'utf8').replaceAll('\n', '');
    expect(spec).toContain(hex(preimage));
    const digest = createHash('sha256').update(preimage).digest();
    expect(spec).toContain(digest.toString('hex'));
    expect(verifyDigest(bytes(resume!.signature!), digest, bytes(publicKey))).toBe(true);
    const claim = new Uint8Array(93);
    claim[0] = 1;
    viewOf(claim).setBigUint64(1, BigInt(best!.channelId!));
    viewOf(claim).setBigUint64(13, BigInt(best!.committed!));
    const signed = xrplDigest(bytes(ledgerChannelId), claim);
    expect(verifyDigest(bytes(best!.signature!), signed, bytes(publicKey))).toBe(true);
  });

  it('the map in the spec: its bytes are its JSON', () => {
    const spec = readFileSync(new URL('../../../protocol/README.md', import.meta.url), 'utf8');
    const block = /A map of three runs[^`]*```text\n(.*?)```/s.exec(spec)![1]!;
    const messages = block.split(/^(?=[<>] )/m).map((text) => {
      const [hexLines, json] = text.slice(2).split(/^ {2}(?={"id)/m) as [string, string];
      const wire = bytes(hexLines.replaceAll(/\s/g, ''));
      expect(wire[0]).toBe(PAYLOAD_CONTROL);
      const message = JSON.parse(json.replaceAll(/\n */g, ''));
      expect(decodeControl(wire, 1, wire.length)).toEqual(message);
      return message;
    });
    expect(messages[0]).toEqual(parseControlRequest(messages[0]));
    expect([...parseRoute(messages[1])!.holders.subarray(510, 514)]).toEqual([0, 0, 1, 1]);
  });

  it('are what the generator makes', () => {
    const made = makeVectors();
    expect(made.size).toBe(12);
    for (const [name, text] of made)
      expect(readFileSync(new URL(`../../../protocol/vectors/${name}`, import.meta.url), 'utf8'), name).toBe(text);
  });

  it('claims: fields, preimage, digest, signature and wire bytes agree', () => {
    for (const vector of load('claims.json')) {
      const wire = bytes(vector.wire);
      const claim = decodeClaim(viewOf(wire), 0);
      expect(String(claim.channelId), vector.name).toBe(vector.channelId);
      expect(claim.sequence, vector.name).toBe(vector.sequence);
      expect(String(claim.amount), vector.name).toBe(vector.amount);
      expect(hex(claim.signature), vector.name).toBe(vector.signature);
      expect(hex(wire.subarray(CLAIM_TIMESTAMP)), vector.name).toBe(vector.timestampBits);
      if (!Number.isNaN(claim.timestamp)) expect(hex(claimBytes(claim)), vector.name).toBe(vector.wire);
      const id = bytes(vector.ledgerChannelId);
      const xrpl = vector.profile === 'xrpl';
      const preimage = xrpl ? xrplPreimage(id, wire) : linkPreimage(id, wire);
      expect(hex(preimage), vector.name).toBe(vector.preimage);
      if (vector.algorithm === 'ed25519')
        expect(ed25519Verifies(vector.publicKey, bytes(vector.signature), preimage), vector.name).toBe(true);
      else expectEcdsa(vector, preimage, hex(xrpl ? xrplDigest(id, wire) : linkDigest(id, wire)));
    }
  });

  it('acks: fields and wire bytes agree, every status among them', () => {
    const vectors = load('acks.json');
    for (const vector of vectors) {
      const wire = bytes(vector.wire);
      const ack = decodeAck(viewOf(wire), 0);
      expect(statusName(ack.status)).toBe(vector.name);
      const fields = { status: ack.status, sequence: ack.sequence, channelId: String(ack.channelId) };
      expect({ ...fields, amount: String(ack.amount), timestampBits: hex(wire.subarray(24)) }).toEqual({
        status: vector.status,
        sequence: vector.sequence,
        channelId: vector.channelId,
        amount: vector.amount,
        timestampBits: vector.timestampBits,
      });
    }
    expect(vectors.find(({ status }) => status === 24)!.name).toBe('ROOT_EXPOSURE');
    for (const status of Object.values(STATUS)) expect(vectors.map((vector) => vector.status)).toContain(status);
  });

  it('refusals: the signature is sound exactly where the status says so', () => {
    for (const { name, channel, wire, statusName: expected } of load('refusals.json')) {
      const sound = isSound(bytes(wire), channel);
      if (expected === 'COMMITTED' || expected === 'BAD_SEQUENCE') expect(sound, name).toBe(true);
      if (expected === 'BAD_SIGNATURE') expect(sound, name).toBe(false);
      if (name.includes('badly signed')) expect(sound, name).toBe(false);
    }
  });

  it('walks: frames handed out, and the end', () => {
    const ends = { EMPTY: WALK_EMPTY, WHOLE: WALK_WHOLE, CUT_FRAME: WALK_CUT_FRAME, UNKNOWN_TYPE: WALK_UNKNOWN_TYPE };
    for (const { name, wire, frames, end } of load('walks.json')) {
      const datagram = bytes(wire);
      const seen: string[] = [];
      const sink = { claim: () => void seen.push('c'), ack: () => void seen.push('a') };
      expect(walkFrames(datagram, 0, datagram.length, sink), name).toBe(ends[end]);
      expect(seen.join(''), name).toBe(frames);
    }
  });

  it('resume: the signature holds exactly where it says so', () => {
    for (const { name, publicKey, ledgerChannelId, nonce, preimage, digest, signature, valid } of load('resume.json')) {
      const signed = resumePreimage(bytes(ledgerChannelId), bytes(nonce));
      expect(hex(signed), name).toBe(preimage);
      if (!publicKey.startsWith('ed')) expect(createHash('sha256').update(signed).digest('hex'), name).toBe(digest);
      const holds = publicKey.startsWith('ed')
        ? ed25519Verifies(publicKey, bytes(signature), signed)
        : verifyDigest(bytes(signature), bytes(digest), bytes(publicKey));
      expect(holds, name).toBe(valid);
    }
  });

  it('session: the token says what it says, and holds exactly where it says so', () => {
    for (const { name, publicKey, realm, token, preimage, valid } of load('session.json')) {
      const said = decodeSessionToken(bytes(token))!;
      expect(hex(encodeSessionToken(said)), name).toBe(token);
      const signed = sessionPreimage(said, realm);
      expect(hex(signed), name).toBe(preimage);
      const holds = publicKey.startsWith('ed')
        ? ed25519Verifies(publicKey, said.signature, signed)
        : verifyDigest(said.signature, createHash('sha256').update(signed).digest(), bytes(publicKey));
      expect(holds, name).toBe(valid);
    }
    expect(decodeSessionToken(new Uint8Array(136))).toBeUndefined();
    expect(decodeSessionToken(new Uint8Array(137))).toBeUndefined();
  });

  it('merkle: hashes, roots and frames are those of the vectors, and each frame leads to the signed root', () => {
    for (const vector of load('merkle.json') as unknown as MerkleVector[]) {
      const { name, leaves, sequence, publicKey, signature } = vector;
      const tree = treeOf(vector);
      expect(hex(tree.levels[0]!.subarray(0, 32)), name).toBe(vector.firstLeaf);
      expect(hex(tree.levels[0]!.subarray(-32)), name).toBe(vector.lastLeaf);
      const root = tree.levels.at(-1)!.subarray(0, 32);
      expect(hex(root), name).toBe(vector.root);
      const preimage = rootPreimage(root, leaves, sequence, bytes(vector.timestampBits));
      expect(hex(preimage), name).toBe(vector.preimage);
      expect(hex(rootDigest(root, leaves, sequence, bytes(vector.timestampBits))), name).toBe(vector.digest);
      const isSound = publicKey.startsWith('ed')
        ? ed25519Verifies(publicKey, bytes(signature), preimage)
        : verifyDigest(bytes(signature), bytes(vector.digest), bytes(publicKey));
      expect(isSound, name).toBe(true);
      for (const { block, wire } of vector.frames) {
        const out = new Uint8Array(MERKLE_FRAME_BYTES_MAX);
        expect(hex(out.subarray(0, writeFrame(tree, block, out, 0))), name).toBe(wire);
        const head = emptyFrameHead();
        expect(readFrameHead(bytes(wire), 0, wire.length / 2, head), name).toBe(true);
        const led = new Uint8Array(32);
        frameRoot(bytes(wire), 0, head, tree.ids.subarray(block * 64 * 32), led, 0);
        expect(hex(led), name).toBe(vector.root);
      }
    }
  });

  it('control: requests are taken or refused as they say, replies are read as they are', () => {
    for (const { name, payload, request, refusal, reply } of load('control.json')) {
      if (reply !== undefined) {
        expect(parseControlReply(decodeControl(bytes(payload), 1, payload.length / 2)), name).toEqual(reply);
        if (name === 'hello') expect(isHelloResult(reply), name).toBe(true);
        if (name.startsWith('resume')) expect(isBestClaimResult(reply), name).toBe(true);
      } else expect(taken(bytes(payload)), name).toEqual(request ?? { ...refusal, ok: false });
    }
  });

  it('streams: the messages, and where the stream ends, however it is cut into chunks', () => {
    for (const { name, stream, messages, end } of load('streams.json')) {
      const whole = bytes(stream);
      for (const size of [1, 3, 97, whole.length + 1]) {
        const parser = new StreamParser();
        const seen: string[] = [];
        let fault: number = STREAM_SOUND;
        for (let from = 0; from < whole.length; from += size)
          fault = parser.push(whole.subarray(from, from + size), {
            payload: (payload, start, stop) => void seen.push(messageText(payload.slice(start, stop))),
          });
        expect(seen, name).toEqual(messages);
        const sound = parser.atBoundary ? 'BOUNDARY' : 'INSIDE';
        const ends: Record<number, string> = {
          [STREAM_LENGTH_ZERO]: 'LENGTH_ZERO',
          [STREAM_LENGTH_OVER_MAX]: 'LENGTH_OVER_MAX',
        };
        expect(ends[fault] ?? sound, name).toBe(end);
      }
    }
  });

  it('rfc6979: the reference verifier takes the published signatures', () => {
    for (const { message, digest, signature, publicKey } of load('rfc6979.json')) {
      expect(createHash('sha256').update(message).digest('hex')).toBe(digest);
      expect(verifyDigest(bytes(signature), bytes(digest), bytes(publicKey)), message).toBe(true);
    }
  });

  it('ecdsa: the reference verifier is right at every edge', () => {
    for (const { name, signature, digest, publicKey, valid } of load('ecdsa.json'))
      expect(verifyDigest(bytes(signature), bytes(digest), bytes(publicKey)), name).toBe(valid);
  });
});

interface MerkleVector extends Vector {
  leaves: number;
  firstLeaf: string;
  lastLeaf: string;
  root: string;
  frames: string & { block: number; wire: string }[];
}

/** The tree of a vector's channels, which are made by a rule. */
function treeOf({ leaves, sequence, timestampBits, signature }: MerkleVector): SignedTree & { ids: Uint8Array } {
  const ids = new Uint8Array(leaves * 32);
  const wire = new Uint8Array(leaves * 16);
  for (let index = 0; index < leaves; index++) {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(index);
    const id = createHash('sha256').update('claimwire/vector/').update(number).digest();
    ids.set(id, index * 32);
    wire.set(id.subarray(0, 8), index * 16);
    viewOf(wire).setBigUint64(index * 16 + 8, 1_000_000n + BigInt(index));
  }
  const hashes = new Uint8Array(leaves * 32);
  portableTreeHash.leaves(ids, 0, wire, 0, sequence, leaves, hashes, 0);
  const levels = buildTree(hashes, leaves);
  return { ids, levels, wire, leaves, sequence, timestamp: bytes(timestampBits), signature: bytes(signature) };
}

/** What a connection makes of a control payload: the request it passes on, or the refusal it answers, but for its words. */
function taken(payload: Uint8Array): object | undefined {
  let result: object | undefined;
  const port = {
    request: (request: object) => {
      result = request;
      return new Promise<never>(() => {});
    },
  };
  const answer = (framed: Uint8Array) => {
    const { message: _, ...reply } = decodeControl(framed, 5, framed.length) as { message: string };
    result = reply;
  };
  const control = new ConnectionControl(port, { count() {} } as unknown as Counters, false, answer);
  control.handle(payload, 1, payload.length);
  return result;
}

/** `control`, or a letter for each frame. */
function messageText(payload: Uint8Array): string {
  if (payload[0] === PAYLOAD_CONTROL) return 'control';
  const seen: string[] = [];
  walkFrames(payload, 0, payload.length, { claim: () => void seen.push('c'), ack: () => void seen.push('a') });
  return seen.join('');
}

function isSound(claim: Uint8Array, channel: Vector['channel']): boolean {
  const xrpl = channel.profile === 'xrpl';
  const id = bytes(channel.ledgerChannelId);
  const signature = claim.slice(21, 85);
  if (channel.publicKey.startsWith('ed'))
    return ed25519Verifies(channel.publicKey, signature, (xrpl ? xrplPreimage : linkPreimage)(id, claim));
  return verifyDigest(signature, (xrpl ? xrplDigest : linkDigest)(id, claim), bytes(channel.publicKey));
}

/** Against node:crypto as well, which hashes by itself: SHA-512 cut to 256 bits, or SHA-256. */
function expectEcdsa(vector: Vector, preimage: Uint8Array, digest: string): void {
  expect(digest, vector.name).toBe(vector.digest);
  const signature = bytes(vector.signature);
  expect(verifyDigest(signature, bytes(digest), bytes(vector.publicKey)), vector.name).toBe(true);
  const spki = Buffer.from(`3036301006072a8648ce3d020106052b8104000a032200${vector.publicKey}`, 'hex');
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const hash = vector.profile === 'xrpl' ? 'sha512' : 'sha256';
  expect(verify(hash, preimage, { key, dsaEncoding: 'ieee-p1363' }, signature), vector.name).toBe(true);
  expect(verify(hash, preimage, { key, dsaEncoding: 'der' }, bytes(vector.der)), vector.name).toBe(true);
}

function ed25519Verifies(publicKey: string, signature: Uint8Array, preimage: Uint8Array): boolean {
  const spki = Buffer.from(`302a300506032b6570032100${publicKey.slice(2)}`, 'hex');
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return verify(null, preimage, key, signature);
}
