/**
 * POST /claims: a claim of a payer who has only HTTP. Main thread.
 *
 * It needs no token, as none is needed over UDP: a claim proves itself by its signature, and the claim path judges it. The
 * content types are those that a web page cannot send to another site without asking.
 */
import { decodeClaim } from '../../protocol/claim.ts';
import { CLAIM_BYTES, FRAME_CLAIM } from '../../protocol/layout.ts';
import { got, objectWith } from '../channel/parse.ts';
import type { MeterControl, SubmitResult } from '../control/meter-control.ts';
import { expectReady, type NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import { HttpRefusal, mediaType, readBody, readJson, sendJson } from './message.ts';
import type { Call, Route } from './route.ts';

/** A claim in hex and its JSON around it are 200 bytes. */
const BODY_BYTES_MAX = 512;
const BASE64_CHARACTERS = Math.ceil(CLAIM_BYTES / 3) * 4;

/** What POST /claims answers. */
export interface SubmitJson {
  /** COMMITTED, ALREADY, or a refusal such as BAD_SIGNATURE: a status of protocol/README.md. */
  status: string;
  /** Drops. */
  committed: string;
}

export function claimRoutes(control: NodeControl, meter: MeterControl): Route[] {
  const answer = async (call: Call) => {
    expectReady(control);
    const claim = await readClaim(call);
    const result = await meter.submit(claim);
    // Not decided here: the holder is asked, or the client is told who it is.
    if (result.status === 'MOVED')
      control.expectHere?.(decodeClaim(new DataView(claim.buffer, claim.byteOffset), 0).channelId);
    sendJson(call.response, 200, submitJson(result));
  };
  return [{ method: 'POST', path: '/claims', scope: undefined, takesBody: true, answer }];
}

function submitJson({ status, committed }: SubmitResult): SubmitJson {
  return { status, committed: String(committed) };
}

/** The claim of a body: its bytes, or `{claim}` in hex or base64. */
async function readClaim({ request }: Call): Promise<Uint8Array> {
  const type = mediaType(request);
  if (type !== 'application/octet-stream' && type !== 'application/json')
    throw new HttpRefusal(415, `content-type: expected application/octet-stream or application/json, got ${got(type)}`);
  const claim =
    type === 'application/octet-stream'
      ? new Uint8Array(await readBody(request, BODY_BYTES_MAX))
      : claimOf(objectWith(await readJson(request, BODY_BYTES_MAX), ['claim'], 'body').claim);
  if (claim.length !== CLAIM_BYTES || claim[0] !== FRAME_CLAIM)
    throw new ClaimwireError('INPUT_INVALID', `claim: expected ${CLAIM_BYTES} bytes that begin with 01, got others`);
  return claim;
}

function claimOf(text: unknown): Uint8Array {
  if (typeof text === 'string' && text.length === CLAIM_BYTES * 2 && /^[0-9a-f]+$/i.test(text))
    return new Uint8Array(Buffer.from(text, 'hex'));
  if (typeof text === 'string' && text.length === BASE64_CHARACTERS && /^[\w+/-]+$/.test(text))
    return new Uint8Array(Buffer.from(text, 'base64'));
  throw new ClaimwireError('INPUT_INVALID', `claim: expected ${CLAIM_BYTES} bytes in hex or base64, got ${got(text)}`);
}
