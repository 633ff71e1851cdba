/** Who pays in this bench: vouchers in headers, signed ahead, and claims by UDP with a session's token. Bench's main thread. */
import { createSocket, type Socket } from 'node:dgram';
import { CLAIM_BYTES, CLAIM_SIGNATURE, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { decodeSessionToken, encodeSessionToken, sessionPreimage } from '../../protocol/session.ts';
import { Secp256k1Signer } from '../../src/client/keys/signer.ts';
import { assert } from '../../src/errors.ts';
import { parseHostPort } from '../../src/host-port.ts';
import { derFromCompact } from '../../src/ledger/xrpl.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { seededBytes } from '../../src/load/random.ts';
import { signAhead } from '../pool/signed-ahead.ts';
import { CHANNELS, MERCHANT, PRICE, UDP_SEED } from './shared.ts';

/** Requests for which each channel's claims by UDP are ahead: a payer that streams is not asked to wait for each. */
const UDP_AHEAD = 16;
/** Claims that share a datagram. */
const CLAIMS_PER_DATAGRAM = 8;
/** Sessions that begin at once. */
const BEGINNING = 64;
const BEGIN_ATTEMPTS_MAX = 100;

export type Headers = Record<string, string>;

/** Vouchers of all channels in turn, signed ahead and written as headers when they are sent. */
export class Vouchers {
  #sent = 0;
  readonly ids: string[];
  readonly #claims: Buffer;
  readonly #count: number;

  static signed(seed: number, count: number): Vouchers {
    const channels = LoadChannels.derive(seed, CHANNELS, CHANNELS);
    const ids = Array.from({ length: CHANNELS }, (_, row) => Buffer.from(channels.table.ledgerId(row)));
    const claims = Buffer.from(signAhead(seed, channels, count).buffer);
    return new Vouchers(
      ids.map((id) => id.toString('hex').toUpperCase()),
      claims,
      count,
    );
  }

  private constructor(ids: string[], claims: Buffer, count: number) {
    this.ids = ids;
    this.#claims = claims;
    this.#count = count;
  }

  /** The same from the first on. */
  again(): Vouchers {
    return new Vouchers(this.ids, this.#claims, this.#count);
  }

  /** What makes each request's header, with one challenge for all. */
  by(challenge: Record<string, string>): () => Headers {
    const head = `{"challenge":${JSON.stringify(challenge)},"payload":{"action":"voucher","channelId":"`;
    return () => {
      const index = this.next();
      const claim = this.claims(index, 1);
      const der = derFromCompact(claim.subarray(CLAIM_SIGNATURE, CLAIM_SIGNATURE + SIGNATURE_BYTES));
      const amount = Math.floor(index / CHANNELS) + 1;
      const json = `${head}${this.ids[index % CHANNELS]}","amount":"${amount}","signature":"${der}"}}`;
      return { authorization: `Payment ${Buffer.from(json).toString('base64url')}` };
    };
  }

  next(): number {
    assert(this.#sent < this.#count, `${this.#count} vouchers are enough`);
    return this.#sent++;
  }

  /** So many claims back to back. */
  claims(index: number, count: number): Buffer {
    assert(index + count <= this.#count, `${this.#count} claims are enough`);
    return this.#claims.subarray(index * CLAIM_BYTES, (index + count) * CLAIM_BYTES);
  }
}

/** One claim by UDP for each request, some requests ahead, and the channel's token in the header. */
export class UdpPayer {
  readonly #source: Vouchers;
  readonly #socket: Socket;
  readonly #tokens: string[];
  #next = 0;
  #requests = 0;

  private constructor(source: Vouchers, socket: Socket, tokens: string[]) {
    this.#source = source;
    this.#socket = socket;
    this.#tokens = tokens;
  }

  static async start(url: string, source: Vouchers, udp: string): Promise<UdpPayer> {
    const response = await fetch(url);
    await response.arrayBuffer();
    const session = /Claimwire-Session .*nonce="([^"]*)", expires="([^"]*)"/.exec(
      response.headers.get('www-authenticate')!,
    )!;
    const expires = Date.parse(session[2]!) / 1_000;
    const tokens = source.ids.map((id, row) => tokenOf(id, row, session[1]!, expires));
    const socket = createSocket('udp4');
    const { host, port } = parseHostPort(udp)!;
    await new Promise<void>((resolve) => socket.connect(port, host, resolve));
    return new UdpPayer(source, socket, tokens);
  }

  /** Pays ahead, and begins each channel's session. */
  async begin(url: string): Promise<void> {
    while (this.#next < UDP_AHEAD * CHANNELS) {
      for (let datagram = 0; datagram < 8; datagram++) this.#send();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    for (let row = 0; row < CHANNELS; row += BEGINNING)
      await Promise.all(Array.from({ length: BEGINNING }, () => begin(url, this.header())));
  }

  header(): Headers {
    if (this.#requests % CLAIMS_PER_DATAGRAM === 0) this.#send();
    return { authorization: this.#tokens[this.#requests++ % CHANNELS]! };
  }

  close(): void {
    this.#socket.close();
  }

  /** Claims are in the order in which they were signed, so that so many of them are one piece of memory. */
  #send(): void {
    this.#socket.send(this.#source.claims(this.#next, CLAIMS_PER_DATAGRAM));
    this.#next += CLAIMS_PER_DATAGRAM;
  }
}

/** The first request of a session, whose signature is checked; so many at once are asked to come again. */
async function begin(url: string, headers: Headers): Promise<void> {
  for (let attempt = 0; attempt < BEGIN_ATTEMPTS_MAX; attempt++) {
    const response = await fetch(url, { headers });
    await response.arrayBuffer();
    if (response.status === 200) return;
    assert(response.status === 503, `expected 200 or 503, got ${response.status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert(false, 'a session begins');
}

function tokenOf(id: string, row: number, nonce: string, expires: number): string {
  const said = {
    ledgerChannelId: Buffer.from(id, 'hex'),
    expires: BigInt(expires),
    nonce: Buffer.from(nonce, 'base64url'),
  };
  const signer = new Secp256k1Signer(seededBytes(UDP_SEED, `key ${row}`));
  const token = encodeSessionToken({ ...said, signature: signer.signMessage(sessionPreimage(said, MERCHANT.realm)) });
  assert(decodeSessionToken(token) !== undefined && PRICE > 0n, 'a token is read as it was written');
  return `Claimwire-Session ${Buffer.from(token).toString('base64url')}`;
}
