/**
 * Requests per second through the gateway: paid by a voucher in each header, paid by claims over UDP with a token, and at
 * price 0, all before the same service and from the same load (autocannon), which sends the same bytes to each. Beside it a
 * server of mppx that verifies with xrpl.js.
 *
 * Main thread: signs everything ahead, and runs autocannon; node and gateways, service and peer are processes of their own. A
 * checksum says that each answer was charged once.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { CLAIM_BYTES, CLAIM_SIGNATURE, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { decodeSessionToken, encodeSessionToken, sessionPreimage } from '../../protocol/session.ts';
import { Secp256k1Signer } from '../../src/client/keys/signer.ts';
import { assert } from '../../src/errors.ts';
import { parseHostPort } from '../../src/host-port.ts';
import { derFromCompact } from '../../src/ledger/xrpl.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { seededBytes } from '../../src/load/random.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, endsWithBench, within } from '../node-under-test.ts';
import { signAhead } from '../pool/signed-ahead.ts';
import { CHANNELS, MERCHANT, PRICE, SEED } from './shared.ts';

const CONNECTIONS = 64;
const WARM_SECONDS = 1;
/** More than can be asked in a run; the bench fails where they run out. */
const REQUESTS_PER_SECOND_MAX = 12_000;
/** Requests for which each channel's claims by UDP are ahead: a payer that streams is not asked to wait for each. */
const UDP_AHEAD = 16;
/** Claims that share a datagram. */
const CLAIMS_PER_DATAGRAM = 8;
const ANSWER_MS_MAX = 60_000;

type Answer = Record<string, string> & { port: number; paid: number; free: number };
type Headers = Record<string, string>;

interface Rate {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Requests that were answered 200. */
  served: number;
}

async function measure({ quick, note, repeat }: BenchContext): Promise<Figures> {
  const seconds = quick ? 2 : 6;
  const count = (2 * WARM_SECONDS + 3 * seconds) * REQUESTS_PER_SECOND_MAX;
  const channels = LoadChannels.derive(SEED, CHANNELS, CHANNELS);
  const claims = Buffer.from(signAhead(SEED, channels, count).buffer);
  const children: ChildProcess[] = [];
  const start = async (name: string, args: string[] = []): Promise<[ChildProcess, Answer]> => {
    const child = endsWithBench(fork(fileURLToPath(new URL(name, import.meta.url)), args));
    children.push(child);
    return [child, await answerOf(child)];
  };
  try {
    const [, service] = await start('./service.js');
    const folder = `${benchFolder('gateway')}/${repeat}`;
    const [gateway, at] = await start('./server.js', [folder, `http://127.0.0.1:${service.port}`]);
    const [peer, mppx] = await start('./mppx-peer.js');
    const source = new Vouchers(channels, claims, count);
    const paid = `http://127.0.0.1:${at.paid}/`;

    const header = source.by(await challengeOf(paid));
    const unpaid = `http://127.0.0.1:${at.free}/`;
    await load(paid, WARM_SECONDS, header);
    // The free gateway takes no vouchers: they are there for the next run.
    const warm = source.sent;
    await load(unpaid, WARM_SECONDS, header);
    const free = await load(unpaid, seconds, header);
    source.sent = warm;
    const before = BigInt((await booksOf(gateway)).spent!);
    const voucher = await load(paid, seconds, header);
    const charged = BigInt((await booksOf(gateway)).spent!) - before;
    const served = BigInt(voucher.served);
    // What is under way when the time is over has no answer.
    assert(charged >= served && charged <= served + BigInt(CONNECTIONS), `${served} served, ${charged} drops charged`);
    const byUdp = await loadByUdp(paid, seconds, source, String(at.udp));
    const peerUrl = `http://127.0.0.1:${mppx.port}/`;
    source.sent = 0;
    const own = await load(peerUrl, seconds, source.by(await challengeOf(peerUrl)));
    const books = await booksOf(gateway);
    note(`drops charged ${books.spent}, committed ${books.committed}; peer's ${(await booksOf(peer)).spent}`);
    return {
      'gateway.freePerSecond': free.perSecond,
      'gateway.paidPerSecond': voucher.perSecond,
      'gateway.udpPerSecond': byUdp.perSecond,
      'gateway.mppxXrplPerSecond': own.perSecond,
      'gateway.paidVsFree': voucher.perSecond / free.perSecond,
      'gateway.udpVsFree': byUdp.perSecond / free.perSecond,
      'gateway.vsMppxXrpl': voucher.perSecond / own.perSecond,
      'gateway.paidP50Ms': voucher.p50Ms,
      'gateway.paidP99Ms': voucher.p99Ms,
      'gateway.freeP50Ms': free.p50Ms,
      'gateway.freeP99Ms': free.p99Ms,
      'gateway.udpP50Ms': byUdp.p50Ms,
      'gateway.udpP99Ms': byUdp.p99Ms,
    };
  } finally {
    for (const child of children) if (child.connected) child.disconnect();
  }
}

/** Vouchers of all channels in turn, signed ahead and written as headers when they are sent. */
class Vouchers {
  sent = 0;
  readonly ids: string[] = [];
  readonly #claims: Buffer;
  readonly #count: number;

  constructor(channels: LoadChannels, claims: Buffer, count: number) {
    this.#claims = claims;
    this.#count = count;
    for (let row = 0; row < CHANNELS; row++)
      this.ids.push(Buffer.from(channels.table.ledgerId(row)).toString('hex').toUpperCase());
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
    assert(this.sent < this.#count, `${this.#count} vouchers are enough`);
    return this.sent++;
  }

  /** So many claims back to back. */
  claims(index: number, count: number): Buffer {
    assert(index + count <= this.#count, `${this.#count} claims are enough`);
    return this.#claims.subarray(index * CLAIM_BYTES, (index + count) * CLAIM_BYTES);
  }
}

/** The challenge of a 402. */
async function challengeOf(url: string): Promise<Record<string, string>> {
  const response = await fetch(url);
  await response.arrayBuffer();
  assert(response.status === 402, `expected 402, got ${response.status}`);
  const text = /Payment (.*?)(, Claimwire-Session.*)?$/.exec(response.headers.get('www-authenticate')!)![1]!;
  return Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
}

async function load(url: string, seconds: number, headers: () => Headers): Promise<Rate> {
  const {
    duration,
    errors,
    timeouts,
    non2xx,
    '2xx': served,
    latency,
  } = await autocannon({
    url,
    connections: CONNECTIONS,
    duration: seconds,
    requests: [
      {
        method: 'GET',
        setupRequest: (request) => {
          request.headers = headers();
          return request;
        },
      },
    ],
  });
  // A request under way at the end has no answer.
  assert(
    errors === 0 && timeouts === 0 && non2xx === 0 && served > 0,
    `every request is answered: ${errors} errors, ${timeouts} timeouts, ${non2xx} refused, ${served} served`,
  );
  return { perSecond: served / duration, p50Ms: latency.p50, p99Ms: latency.p99, served };
}

/** One claim by UDP for each request, some requests ahead, and the channel's token in the header. */
async function loadByUdp(url: string, seconds: number, source: Vouchers, udp: string): Promise<Rate> {
  const response = await fetch(url);
  await response.arrayBuffer();
  const session = /Claimwire-Session .*nonce="([^"]*)", expires="([^"]*)"/.exec(
    response.headers.get('www-authenticate')!,
  )!;
  const tokens = source.ids.map((id, row) => tokenOf(id, row, session[1]!, Date.parse(session[2]!) / 1_000));
  const socket = createSocket('udp4');
  const { host, port } = parseHostPort(udp)!;
  await new Promise<void>((resolve) => socket.connect(port, host, resolve));
  // Claims are in the order in which they were signed, so that so many of them are one piece of memory.
  let next = source.sent;
  const send = () => {
    socket.send(source.claims(next, CLAIMS_PER_DATAGRAM));
    next += CLAIMS_PER_DATAGRAM;
  };
  const first = next;
  while (next < first + UDP_AHEAD * CHANNELS) {
    for (let datagram = 0; datagram < 8; datagram++) send();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  let requests = 0;
  try {
    return await load(url, seconds, () => {
      if (requests % CLAIMS_PER_DATAGRAM === 0) send();
      return { authorization: tokens[requests++ % CHANNELS]! };
    });
  } finally {
    socket.close();
  }
}

function tokenOf(id: string, row: number, nonce: string, expires: number): string {
  const said = {
    ledgerChannelId: Buffer.from(id, 'hex'),
    expires: BigInt(expires),
    nonce: Buffer.from(nonce, 'base64url'),
  };
  const signer = new Secp256k1Signer(seededBytes(SEED, `key ${row}`));
  const token = encodeSessionToken({ ...said, signature: signer.signMessage(sessionPreimage(said, MERCHANT.realm)) });
  assert(decodeSessionToken(token) !== undefined && PRICE > 0n, 'a token is read as it was written');
  return `Claimwire-Session ${Buffer.from(token).toString('base64url')}`;
}

function answerOf(child: ChildProcess): Promise<Answer> {
  const answer = new Promise<Answer>((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`expected an answer, got exit code ${code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message as Answer);
    });
  });
  return within(answer, ANSWER_MS_MAX, 'an answer of a process');
}

function booksOf(child: ChildProcess): Promise<Answer> {
  const answer = answerOf(child);
  child.send('books');
  return answer;
}

await runBench({ name: 'gateway', backend: 'native', repeats: 3 }, measure);
