/**
 * mppx's own client with a method `xrpl` that writes the SDK's wire format: what a stranger's client sends to a gateway. Test's
 * thread.
 *
 * mppx's export `mppx/client` loads its methods for other chains, which need viem (112 MB). Its core needs none, so the core's
 * files are imported by their paths: the wrapper of fetch, the challenges' parser, the credentials' serialiser.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const DIST = join(dirname(createRequire(import.meta.url).resolve('mppx/server/core')), '..');
// biome-ignore lint/suspicious/noExplicitAny: the files have types, but these name viem's
const load = (file: string): Promise<any> => import(pathToFileURL(join(DIST, file)).href);

/** A challenge as mppx has read it. */
export interface MppxChallenge {
  id: string;
  request: {
    amount: string;
    channelId: string;
    recipient: string;
    methodDetails: { cumulativeAmount: string; network: string };
  };
}

export interface MppxMethod {
  /** Answers a challenge with a payload. The context is what the caller of fetch gave. */
  pay(challenge: MppxChallenge, context: { close?: boolean }): Promise<Record<string, string>>;
  /** did:pkh:xrpl:NETWORK:ADDRESS. */
  source(challenge: MppxChallenge): string;
}

export type MppxFetch = (url: string, init?: RequestInit & { context?: { close?: boolean } }) => Promise<Response>;

/** The fetch of a client of mppx, with no method but this one. */
export async function mppxFetch(payer: MppxMethod): Promise<MppxFetch> {
  const [{ create }, Method, Credential] = await Promise.all([
    load('client/Mppx.js'),
    load('Method.js'),
    load('Credential.js'),
  ]);
  const asIs = { parse: (value: unknown) => value };
  const session = Method.from({
    name: 'xrpl',
    intent: 'session',
    schema: { request: asIs, credential: { payload: asIs } },
  });
  const method = Method.toClient(session, {
    context: asIs,
    async createCredential({ challenge, context }: { challenge: MppxChallenge; context?: { close?: boolean } }) {
      const payload = await payer.pay(challenge, context ?? {});
      return Credential.serialize({ challenge, payload, source: payer.source(challenge) });
    },
  });
  return create({ methods: [method], polyfill: false }).fetch;
}
