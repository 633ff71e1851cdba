/**
 * A gateway over a service, with a node in memory whose claims are verified: what tests of src/gateway are run against. The
 * client writes the wire of the scheme from its drafts, and shares nothing with the gateway's code. Test's thread.
 */

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { claimBytes, decodeClaim } from '../../protocol/claim.ts';
import { xrplPreimage } from '../../protocol/digest.ts';
import type { Channel } from '../../src/channel/row.ts';
import { Ed25519Signer, type KeySigner, Secp256k1Signer } from '../../src/client/keys/signer.ts';
import type { SubmitResult } from '../../src/control/meter-control.ts';
import { ClaimwireError } from '../../src/errors.ts';
import { Gateway, type GatewayOptions } from '../../src/gateway/gateway.ts';
import { Routes } from '../../src/gateway/routes.ts';
import { derFromCompact } from '../../src/ledger/xrpl.ts';
import { Ed25519Verifier } from '../../src/verify/ed25519.ts';
import { OpensslVerifier } from '../../src/verify/openssl.ts';
import { FakeMeter } from './fake-meter.ts';
import { openRow } from './open-channel.ts';

export const RECIPIENT = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
export const REALM = 'api.example';

/** A FakeMeter that looks at signatures, as a node does. */
export class FakePaidNode extends FakeMeter {
  readonly rows: Map<bigint, Channel>;
  ruleSeconds = 1_700_000_000;
  readonly #ecdsa = new OpensslVerifier();
  readonly #ed25519 = new Ed25519Verifier();

  constructor(rows = new Map<bigint, Channel>()) {
    super(rows);
    this.rows = rows;
  }

  /** Whether another node holds all channels now. */
  isElsewhere = false;
  expectHere(channelId: bigint): void {
    if (this.isElsewhere) throw new ClaimwireError('MOVED', `channel ${channelId}: another node holds it`);
  }

  /** By the map, of all channels. */
  holder: { node: string; places: readonly string[] } | undefined;
  holderOf(): { node: string; places: readonly string[] } | undefined {
    return this.holder;
  }

  /** None unless a test says so: a session reads its channel for each request. */
  channelVersion: (channelId: bigint) => number | undefined = () => undefined;

  channel(channelId: bigint): Channel | undefined {
    const row = this.rows.get(channelId);
    return row === undefined ? undefined : { ...row };
  }

  /** Opens a channel of a new key. */
  open(payer: TestPayer, change: Partial<Channel> = {}): void {
    const { channelId, ledgerChannelId, signer } = payer;
    const own = { ledgerChannelId, publicKey: signer.publicKey, capacity: 1_000_000n };
    this.rows.set(channelId, openRow(channelId, { ...own, ...change }));
  }

  override async submit(claim: Uint8Array): Promise<SubmitResult> {
    const { channelId, amount, signature } = decodeClaim(new DataView(claim.buffer, claim.byteOffset, 93), 0);
    const row = this.rows.get(channelId);
    if (row === undefined || amount > row.capacity || amount <= row.committed) return super.submit(claim);
    if (row.state !== 'open') return { status: 'CHANNEL_CLOSED', committed: row.committed };
    const preimage = xrplPreimage(row.ledgerChannelId, claim);
    const isSound =
      row.publicKey[0] === 0xed
        ? this.#ed25519.verify(preimage, signature, row.publicKey)
        : this.#ecdsa.verify(0, preimage, signature, row.publicKey);
    if (!isSound) return { status: 'BAD_SIGNATURE', committed: row.committed };
    row.signature = signature;
    return super.submit(claim);
  }
}

/** A payer's key and channel, and what it sends. */
export class TestPayer {
  readonly signer: KeySigner;
  readonly ledgerChannelId: Buffer;
  readonly channelId: bigint;

  constructor(name: string, type: 'secp256k1' | 'ed25519' = 'secp256k1') {
    const secret = createHash('sha256').update(`gateway test ${name}`).digest();
    this.signer = type === 'ed25519' ? new Ed25519Signer(secret) : new Secp256k1Signer(secret);
    this.ledgerChannelId = createHash('sha256').update(`channel ${name}`).digest();
    this.channelId = this.ledgerChannelId.readBigUInt64BE();
  }

  /** 64 upper-case hex digits. */
  get id(): string {
    return this.ledgerChannelId.toString('hex').toUpperCase();
  }

  /** A signature over so many drops, as a voucher has it. */
  sign(amount: bigint): string {
    const compact = this.claim(amount).subarray(21, 85);
    return this.signer.publicKey[0] === 0xed ? Buffer.from(compact).toString('hex') : derFromCompact(compact);
  }

  claim(amount: bigint): Uint8Array {
    const { channelId } = this;
    const claim = claimBytes({ channelId, sequence: 1, amount, signature: new Uint8Array(64), timestamp: 0 });
    this.signer.signClaim(claim, 0, this.ledgerChannelId, 'xrpl');
    return claim;
  }

  /** The Authorization that answers a challenge with a voucher. */
  pay(challenge: Record<string, string>, amount: bigint, change: object = {}, source?: string): string {
    const payload = {
      action: 'voucher',
      channelId: this.id,
      amount: String(amount),
      signature: this.sign(amount),
      ...change,
    };
    return authorization({ challenge, payload, source });
  }
}

export function authorization(credential: object): string {
  return `Payment ${Buffer.from(JSON.stringify(credential)).toString('base64url')}`;
}

/** The parameters of the challenges in WWW-Authenticate, by scheme. */
export function challengesOf(reply: Reply): Record<string, Record<string, string>> {
  const values: string[] = [];
  for (let at = 0; at < reply.raw.length; at += 2)
    if (reply.raw[at]!.toLowerCase() === 'www-authenticate') values.push(reply.raw[at + 1]!);
  return Object.fromEntries(
    values.map((value) => {
      const scheme = value.slice(0, value.indexOf(' '));
      return [
        scheme,
        Object.fromEntries([...value.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, text]) => [name, text])),
      ];
    }),
  );
}

export function requestOf(challenge: Record<string, string>): Record<string, unknown> & { amount: string } {
  return JSON.parse(Buffer.from(challenge.request!, 'base64url').toString());
}

export interface Reply {
  status: number;
  headers: IncomingMessage['headers'];
  raw: string[];
  body: string;
}

export interface Rig extends AsyncDisposable {
  gateway: Gateway;
  node: FakePaidNode;
  /** What the service saw. */
  seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[];
  port: number;
  get(path: string, options?: { method?: string; headers?: Record<string, string>; body?: string }): Promise<Reply>;
  /** The challenges of a first 402. */
  challenge(path?: string): Promise<Record<string, string>>;
}

type Service = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export async function gatewayRig(
  options: Partial<GatewayOptions> & { service?: Service; node?: FakePaidNode } = {},
): Promise<Rig> {
  const node = options.node ?? new FakePaidNode();
  const seen: Rig['seen'] = [];
  const answer: Service = options.service ?? ((_, response, body) => response.end(`hello ${body}`));
  const server = createServer((incoming, response) => {
    let body = '';
    incoming.on('data', (chunk) => {
      body += String(chunk);
    });
    incoming.on('error', () => {});
    incoming.on('end', () => {
      seen.push({ method: incoming.method!, url: incoming.url!, headers: incoming.headers, body });
      answer(incoming, response, body);
    });
  });
  const port = await listening(server);
  const gateway = await Gateway.start({
    node,
    meter: node,
    listen: { host: '127.0.0.1', port: 0 },
    upstream: `http://127.0.0.1:${port}`,
    routes: Routes.flat(25n),
    merchant: { realm: REALM, recipient: RECIPIENT, network: 'testnet' },
    payments: { claimWaitMs: 50 },
    topUpMs: 50,
    logger: { info() {}, warn() {}, error: () => {} },
    ...options,
  });
  const get: Rig['get'] = (path, what) => ask(gateway.address.port, path, what);
  return {
    gateway,
    node,
    seen,
    port: gateway.address.port,
    get,
    challenge: async (path = '/') => challengesOf(await get(path)).Payment!,
    [Symbol.asyncDispose]: async () => {
      await gateway.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

export function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** A request of its own connection. */
export function ask(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (incoming) => {
      let text = '';
      incoming.on('data', (chunk) => {
        text += String(chunk);
      });
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode!, headers: incoming.headers, raw: incoming.rawHeaders, body: text }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
