/**
 * A control message from anybody: whatever the bytes, it is decoded or refused without a throw; what is decoded is plain and small, is
 * the same after another journey, and a refusal finds the id that a decoder finds.
 */
import assert from 'node:assert/strict';
import { isBestClaimResult, isHelloResult, parseControlReply, parseControlRequest } from '../../../protocol/control.ts';
import { decodeControl, encodeControl, readControlId } from '../../../protocol/control-codec.ts';
import { parseOpening } from '../../../src/channel/parse.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import type { Target } from '../target.ts';

const TOKEN = 'ab'.repeat(32);
const CHANNEL = {
  ledgerChannelId: 'CD'.repeat(32),
  publicKey: `02${'79BE667E'.repeat(8)}`,
  capacity: '1000000',
  profile: 'xrpl',
};
const MESSAGES = [
  { id: 1, type: 'hello', client: 'fuzz', versions: [1, 2] },
  { id: 2, type: 'open', token: TOKEN, channel: CHANNEL },
  { id: 3, type: 'close', token: TOKEN, channelId: '18446744073709551615' },
  { id: 4, type: 'status', channelId: '7' },
  { id: 5, type: 'resume', channelId: '7', signature: 'ef'.repeat(64) },
  { id: 6, type: 'route' },
  { id: 7, type: 'stats', token: TOKEN },
  { id: 8, ok: true, channelId: '7', committed: '0', sequence: 0, timestamp: '0'.repeat(16), signature: null },
  { id: 9, ok: false, code: 'MOVED', message: 'elsewhere', version: '12' },
  {
    id: 10,
    ok: true,
    version: 1,
    server: 's',
    nonce: '0'.repeat(32),
    profiles: ['xrpl'],
    transports: { udp: 1 },
    limits: {},
  },
];

export const target: Target = {
  bytesMax: 600,
  seeds: () => MESSAGES.map((message) => encodeControl(message as Parameters<typeof encodeControl>[0]).subarray(1)),
  run(bytes) {
    const value = decodeControl(bytes, 0, bytes.length);
    const id = readControlId(bytes, 0, bytes.length);
    assert(Number.isInteger(id) && id >= 0 && id <= 0xffff_ffff);
    const request = parseControlRequest(value);
    const reply = parseControlReply(value);
    if (reply?.ok === true) {
      isHelloResult(reply);
      isBestClaimResult(reply);
    }
    if (value === undefined) return;
    if ('ok' in request) assert(request.ok === false);
    else {
      assert.equal(request.id, (value as { id: number }).id);
      assert.deepEqual(parseControlRequest(again(request)), request, 'a request is the same after another journey');
      if (request.type === 'open') refusedOrNot(() => parseOpening(request.channel));
    }
    if (reply !== undefined)
      assert.deepEqual(parseControlReply(again(reply)), parseControlReply(again(again(reply) as never)));
  },
};

function again(message: Parameters<typeof encodeControl>[0]): unknown {
  const payload = encodeControl(message);
  return decodeControl(payload, 1, payload.length);
}

/** Only a refusal with a code may be thrown. */
function refusedOrNot(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    assert(error instanceof ClaimwireError && error.code === 'INPUT_INVALID', String(error));
  }
}
