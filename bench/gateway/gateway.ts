/**
 * Requests per second through the gateway: paid by a voucher in each header, paid by claims over UDP with a token, and at
 * price 0, all before the same service and from the same load (autocannon), which sends the same bytes to each. Beside it a
 * server of mppx that verifies with xrpl.js.
 *
 * Main thread: signs everything ahead, and runs autocannon; node and gateways, service and peer are processes of their own.
 * Every variant is warmed up alike; a session is begun before it is measured, as it lasts for many requests. A checksum says
 * of each variant that each answer was charged once.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { assert } from '../../src/errors.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, endsWithBench, within } from '../node-under-test.ts';
import { type Headers, UdpPayer, Vouchers } from './payers.ts';
import { CONNECTIONS, PRICE, SEED, UDP_SEED } from './shared.ts';

const WARM_REQUESTS = 2_048;
const WARM_LOADS_MAX = 2;
const WARM_SECONDS = 2;
/** More than can be asked in a run; the bench fails where they run out. */
const REQUESTS_PER_SECOND_MAX = 16_000;
const ANSWER_MS_MAX = 60_000;
const SETTLE_MS = 150;

type Answer = Record<string, string> & { port: number; paid: number; free: number };

interface Rate {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Requests that were answered 200. */
  served: number;
}

async function measure({ quick, note, repeat }: BenchContext): Promise<Figures> {
  const [rounds, seconds] = quick ? [1, 2] : [3, 3];
  const count = (WARM_LOADS_MAX * WARM_SECONDS + rounds * seconds) * REQUESTS_PER_SECOND_MAX;
  const children: ChildProcess[] = [];
  let udp: UdpPayer | undefined;
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
    const paid = `http://127.0.0.1:${at.paid}/`;
    const unpaid = `http://127.0.0.1:${at.free}/`;
    const peerUrl = `http://127.0.0.1:${mppx.port}/`;
    const vouchers = Vouchers.signed(SEED, count);
    const header = vouchers.by(await challengeOf(paid));
    // The same bytes: the free gateway takes no vouchers.
    const unused = vouchers.again().by(await challengeOf(paid));
    const peerHeader = vouchers.again().by(await challengeOf(peerUrl));
    const streaming = await UdpPayer.start(paid, Vouchers.signed(UDP_SEED, count), String(at.udp));
    udp = streaming;
    const variants: Variant[] = [
      { name: 'free', url: unpaid, headers: unused, seller: undefined },
      { name: 'paid by header', url: paid, headers: header, seller: gateway },
      { name: 'paid by UDP', url: paid, headers: () => streaming.header(), seller: gateway },
      { name: "mppx's own", url: peerUrl, headers: peerHeader, seller: peer },
    ];
    await streaming.begin(paid);
    for (const variant of variants) await warm(variant);
    const slices: Rate[][] = variants.map(() => []);
    for (let round = 0; round < rounds; round++)
      for (const [index, variant] of variants.entries()) slices[index]!.push(await charged(variant, seconds));
    const [free, voucher, byUdp, own] = slices.map(together) as [Rate, Rate, Rate, Rate];
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
    // A socket that is open would keep a bench that has failed from ending.
    udp?.close();
    for (const child of children) if (child.connected) child.disconnect();
  }
}

/** What is loaded: whose drops are charged for it, where anybody's are. */
interface Variant {
  name: string;
  url: string;
  headers: () => Headers;
  seller: ChildProcess | undefined;
}

/** So many requests before the first that counts, or so much time. */
async function warm(variant: Variant): Promise<void> {
  let served = 0;
  for (let loads = 0; loads < WARM_LOADS_MAX && served < WARM_REQUESTS; loads++) {
    served += (await load(variant, WARM_SECONDS)).served;
    // A slow seller still works on what this load left under way, and would serve nobody in the next one.
    if (variant.seller !== undefined) await settledSpent(variant.seller);
  }
}

/** Loads a variant, and compares the drops charged meanwhile with the answers that were served. */
async function charged(variant: Variant, seconds: number): Promise<Rate> {
  const { seller } = variant;
  if (seller === undefined) return load(variant, seconds);
  const before = await settledSpent(seller);
  const rate = await load(variant, seconds);
  const drops = (await settledSpent(seller)) - before;
  // What is under way when the time is over has no answer.
  const [least, most] = [BigInt(rate.served) * PRICE, BigInt(rate.served + CONNECTIONS) * PRICE];
  assert(drops >= least && drops <= most, `${rate.served} served, ${drops} drops charged`);
  return rate;
}

/** Of all slices: the rate over all their time, and the median of their latencies. */
function together(slices: readonly Rate[]): Rate {
  const middle = (values: number[]) => values.toSorted((left, right) => left - right)[values.length >> 1]!;
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return {
    perSecond: sum(slices.map(({ perSecond }) => perSecond)) / slices.length,
    p50Ms: middle(slices.map(({ p50Ms }) => p50Ms)),
    p99Ms: middle(slices.map(({ p99Ms }) => p99Ms)),
    served: sum(slices.map(({ served }) => served)),
  };
}

/** Drops charged, once the requests that a load left under way are through. */
async function settledSpent(seller: ChildProcess): Promise<bigint> {
  for (let last = -1n; ; ) {
    const spent = BigInt((await booksOf(seller)).spent!);
    if (spent === last) return spent;
    last = spent;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
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

async function load({ name, url, headers }: Variant, seconds: number): Promise<Rate> {
  const {
    duration,
    errors,
    timeouts,
    non2xx,
    '2xx': served,
    latency,
    statusCodeStats,
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
    `${name}: every request is answered: ${errors} errors, ${timeouts} timeouts, ${non2xx} refused, ${served} served (${JSON.stringify(statusCodeStats)})`,
  );
  return { perSecond: served / duration, p50Ms: latency.p50, p99Ms: latency.p99, served };
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
