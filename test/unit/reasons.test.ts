/**
 * Every reason for which something is refused, dropped or cut, and the test that causes it. A reason of the code that is not in the
 * table fails here, and so does one whose test is gone or no longer names it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CONTROL_CODE } from '../../protocol/control.ts';
import { STATUS } from '../../protocol/layout.ts';
import { newCounters } from '../../src/gateway/counters.ts';
import { PROBLEM_TITLES } from '../../src/gateway/scheme.ts';
import { AdminConnections } from '../../src/http/connections.ts';
import { COUNTER_NAMES } from '../../src/ring/counters.ts';
import { WEB_COUNTER_NAMES } from '../../src/web/counters.ts';
import { receiptRig } from '../support/receipts.ts';

/** By reason: a test file, and a part of the title of the test in it. */
type Causes = Readonly<Record<string, readonly [file: string, title: string]>>;

const STEPS = 'unit/path/steps.test.ts';
const COMMIT = 'unit/path/commit-step.test.ts';
const LEAVES = 'unit/path/leaves.test.ts';
const STANDING = 'unit/path/standing.test.ts';
const TCP = 'unit/transport/tcp.test.ts';
const FLOOD = 'unit/transport/tcp-flood.test.ts';
const TCP_CONTROL = 'unit/transport/tcp-control.test.ts';
const SOCKETS = 'unit/threads/sockets.test.ts';
const CONTROL = 'unit/control/server.test.ts';
const WEB = 'hostile/web.test.ts';
const GATEWAY = 'unit/gateway/gateway.test.ts';
const PAYMENTS = 'unit/gateway/payments.test.ts';
const FORWARDING = 'unit/gateway/forwarding.test.ts';
const CHARGING = 'unit/gateway/charging.test.ts';
const ADMIN = 'unit/http/admin-connections.test.ts';

/** What is counted and is no reason: work done, times, and what is open. */
const MEASURES = [
  /^(datagrams|received|verified|superseded|committed|acked|deferred|groupCommits|syncs|journalRecords|journalBytes)$/,
  /^(roots\.(frames|checked))$/,
  /^(syncWaitUs|busyUs\..*|tcp\.(accepted|closed|control))$/,
];
const WEB_MEASURES =
  /^(accepted|closed|websocketAccepted|websocketClosed|webrtcAccepted|messages|control|offers|restarts)$/;
const HTTP_MEASURES = /^(connections|accepted|held|forwarded)$/;
const GATEWAY_MEASURES =
  /^(requests|free|paidByVoucher|paidBySession|replayed|refunded|drops|opened|closed|forwarded|problems)$/;

const EVERY_REFUSAL = [STEPS, 'every refusal has its status, its amount and its counter'] as const;
const FRAMES_AND_REST = [
  STEPS,
  'frames before a bad one stand; the rest of that datagram is dropped and counted',
] as const;
const COUNTERS: Causes = {
  already: EVERY_REFUSAL,
  deferredFull: [COMMIT, 'is held back in bounded number; beyond it the answer is OVERLOADED'],
  unmeasured: ['unit/path/path-measures.test.ts', 'a sender that is far behind'],
  linkGaps: [COMMIT, 'must rise within a group and across groups; gaps are counted'],
  'refused.unknownChannel': EVERY_REFUSAL,
  'refused.badSignature': EVERY_REFUSAL,
  'refused.overCapacity': EVERY_REFUSAL,
  'refused.channelClosed': EVERY_REFUSAL,
  'refused.badAmount': EVERY_REFUSAL,
  'refused.badSequence': EVERY_REFUSAL,
  'refused.overloaded': [COMMIT, 'a full ring answers OVERLOADED without a look'],
  'refused.moved': [STEPS, 'a claim of an unknown channel is MOVED'],
  'refused.rootExposure': [LEAVES, 'over the exposure'],
  'roots.failed': [LEAVES, 'leaves of another key in the frame'],
  'roots.repeated': [LEAVES, 'a repeated frame in flight is dropped'],
  'roots.unjudged': [LEAVES, 'a leaf of an unknown channel'],
  'roots.poolFull': [LEAVES, 'leaves for which the ring or the pool has no room'],
  'roots.unanswered': [LEAVES, 'no more bytes are answered than came'],
  'strangers.heldBack': [STANDING, 'strangers have half of the ring'],
  'strangers.overBudget': [STANDING, 'overBudget'],
  'slowPaths.heldBack': ['unit/path/slow-paths.test.ts', 'a channel over its budget is not verified for a while'],
  'dropped.emptyDatagram': FRAMES_AND_REST,
  'dropped.unknownType': FRAMES_AND_REST,
  'dropped.cutFrame': FRAMES_AND_REST,
  'dropped.unexpectedAck': FRAMES_AND_REST,
  'dropped.refusalLimited': [STEPS, 'a burst, then so many a second; other sources and good claims go on'],
  'dropped.ackRingFull': [STEPS, 'a full ack ring drops acks, counted'],
  'dropped.sendQueueFull': [STEPS, 'a socket that does not keep up drops acks, counted'],
  'dropped.sendFailed': [SOCKETS, 'an answer that cannot be sent over %s'],
  'dropped.socketBuffer': [SOCKETS, 'datagrams that the kernel had no room for'],
  'dropped.floodFilter': [
    'hostile/flood-filter.test.ts',
    'of one source hinders no new payer, not even of the same address',
  ],
  'dropped.connectionGone': [TCP, 'an ack for a connection that is gone reaches nobody'],
  'tcp.refusedFull': [TCP, 'connections in all and per address are bounded'],
  'tcp.refusedAddress': [TCP, 'connections in all and per address are bounded'],
  'tcp.acceptFailed': [TCP, 'a connection that the system cannot accept is counted'],
  'tcp.tlsFailed': [TCP, 'TLS: the same over a handshake'],
  'tcp.paused': [TCP, 'with little room everything arrives once'],
  'tcp.controlRefused': [TCP_CONTROL, 'malformed messages get an error and keep the connection'],
  'tcp.controlHeld': [FLOOD, 'control messages are bounded over all connections'],
  'tcp.cutSlowReader': [TCP, 'a peer that does not read its acks is cut'],
  'tcp.cutQueuesFull': [FLOOD, 'many peers that do not read: their queues are bounded together'],
  'tcp.cutSilent': [TCP, 'a peer that says nothing, or a byte at a time, is cut'],
  'tcp.cutIdle': [TCP, 'a peer that says nothing, or a byte at a time, is cut'],
  'tcp.cutLength': [TCP, 'a length of 0'],
  'tcp.endedInside': [TCP, 'what is no frame is the sink to count'],
};

const STATUSES: Causes = {
  COMMITTED: [COMMIT, 'waits for its original, then is ALREADY'],
  ALREADY: [COMMIT, 'waits for its original, then is ALREADY'],
  UNKNOWN_CHANNEL: EVERY_REFUSAL,
  BAD_SIGNATURE: EVERY_REFUSAL,
  OVER_CAPACITY: EVERY_REFUSAL,
  CHANNEL_CLOSED: EVERY_REFUSAL,
  BAD_AMOUNT: EVERY_REFUSAL,
  BAD_SEQUENCE: EVERY_REFUSAL,
  OVERLOADED: [COMMIT, 'a full ring answers OVERLOADED without a look'],
  MOVED: [STEPS, 'a claim of an unknown channel is MOVED'],
  ROOT_EXPOSURE: ['unit/protocol/vectors.test.ts', 'every status among them'],
};

const WEB_COUNTERS: Causes = {
  messagesDropped: [WEB, 'while the node takes nothing, WebSockets wait'],
  paused: [WEB, 'while the node takes nothing, WebSockets wait'],
  controlRefused: [WEB, 'control messages: junk, floods'],
  controlDropped: [WEB, 'control messages: junk, floods'],
  acksDropped: [WEB, 'a peer that does not read loses acks, not memory'],
  acksGone: [WEB, 'acks for a peer that has gone reach nobody'],
  refusedFull: [WEB, 'there is room for so many peers'],
  refusedAddress: [WEB, 'each address has its share'],
  refusedOrigin: [WEB, 'requests that are none, of pages that are not listed, and junk'],
  refusedRequest: [WEB, 'requests that are none, of pages that are not listed, and junk'],
  refusedOffer: [WEB, 'offers over the rate, unsound ones'],
  refusedRate: [WEB, 'offers over the rate, unsound ones'],
  tlsFailed: ['integration/web-addresses.test.ts', 'by TLS: wss, and offers by https'],
  cutSilent: [WEB, 'peers that say nothing are cut'],
  cutIdle: [WEB, 'peers that say nothing are cut'],
  cutUnsound: [WEB, 'unsound frames, texts and messages that are too long'],
};

const CONTROL_CODES: Causes = {
  MALFORMED: [TCP_CONTROL, 'malformed messages get an error and keep the connection'],
  UNKNOWN_TYPE: [TCP_CONTROL, 'malformed messages get an error and keep the connection'],
  UNSUPPORTED_VERSION: [CONTROL, 'hello: version, nonce, limits'],
  OVERLOADED: [TCP_CONTROL, 'more than 16 at a time are refused'],
  TIMED_OUT: [CONTROL, 'between threads: replies find their askers'],
  MOVED: [CONTROL, 'a channel that another node holds is MOVED to every request'],
  NO_CLUSTER: [CONTROL, 'route: the map in runs, from a node of a cluster alone'],
  NO_RECEIPTS: [CONTROL, 'receipt: signed, of the amount that was asked about'],
  RECEIPT_NOT_YET: [CONTROL, 'receipt: signed, of the amount that was asked about'],
};

/** What Receipts counts, without its work and its key. */
const RECEIPTS_TESTS = 'unit/receipts/receipts.test.ts';
const RECEIPT_MEASURES = /^(publicKey|roots|leaves|given|buildUs)$/;
const RECEIPT_COUNTERS: Causes = {
  notYet: [RECEIPTS_TESTS, 'never more than is durable'],
  busy: [RECEIPTS_TESTS, 'a tree has so many that grew and so many that were asked for'],
  failed: [RECEIPTS_TESTS, 'a slow key holds back the next tree'],
  leftOut: [RECEIPTS_TESTS, 'a tree has so many that grew and so many that were asked for'],
};

const HTTP_COUNTERS: Causes = {
  evicted: [ADMIN, 'endless bodies, heads without end and silence on every connection'],
  late: [ADMIN, 'who is slow at a head, a body, an answer or the end is closed'],
  malformed: [ADMIN, 'bytes that are no HTTP, and a head that is too long'],
  busy: [ADMIN, 'a bounded number of listings is under way'],
  feedCut: ['unit/http/feed.test.ts', 'a reader over a connection that takes no more is cut and counted'],
  sweeps: ['unit/http/events.test.ts', 'a slow reader misses steps and no amount'],
  forwardFailed: ['unit/http/forwarding.test.ts', 'a holder that is gone, silent or endless is said'],
};

const PROBLEMS: Causes = {
  'payment-required': [PAYMENTS, 'an unpaid request is asked for its price'],
  'malformed-credential': [PAYMENTS, 'what is malformed says so'],
  'invalid-challenge': [PAYMENTS, 'a challenge of another server, price, recipient or time is refused'],
  'verification-failed': [PAYMENTS, 'a long answer is not stored'],
  'session/channel-not-found': [PAYMENTS, 'channels that are unknown, ended or too small'],
  'session/channel-finalized': [PAYMENTS, 'channels that are unknown, ended or too small'],
  'session/amount-exceeds-deposit': [PAYMENTS, 'channels that are unknown, ended or too small'],
  'session/invalid-signature': [PAYMENTS, 'channels that are unknown, ended or too small'],
  'session/delta-too-small': [PAYMENTS, 'an amount that pays less than the price is short'],
};

const GATEWAY_COUNTERS: Causes = {
  notFound: [GATEWAY, 'rules of routes: 404 before 402'],
  busy: [GATEWAY, 'more requests than it takes are told to come again'],
  forwardFailed: [FORWARDING, 'a holder that cannot be reached: 503'],
  upstreamFailed: [GATEWAY, 'what a service must not send ends in 502'],
  upstreamCut: [GATEWAY, 'a silent service is given up'],
  clientGone: [GATEWAY, 'a client that goes takes its request to the service with it'],
  withheld: [CHARGING, 'a charge that the disk refuses: its answer is withheld'],
  streamsUnpaid: ['unit/gateway/streaming.test.ts', 'a stream that nobody pays for says so and ends'],
  upgradesRefused: [GATEWAY, 'heads too long, no HTTP, upgrades and tunnels'],
  badRequests: [GATEWAY, 'heads too long, no HTTP, upgrades and tunnels'],
  failed: [GATEWAY, 'a fault of ours is answered 500'],
};

const http = Object.keys(new AdminConnections({} as ConstructorParameters<typeof AdminConnections>[0]).counters);

describe.each<[what: string, reasons: readonly string[], measures: readonly RegExp[], causes: Causes]>([
  ['the node’s counters', COUNTER_NAMES, MEASURES, COUNTERS],
  ['statuses of acks', Object.keys(STATUS), [], STATUSES],
  ['the web process’ counters', WEB_COUNTER_NAMES, [WEB_MEASURES], WEB_COUNTERS],
  ['codes of control messages', Object.values(CONTROL_CODE), [], CONTROL_CODES],
  ['counters of receipts', Object.keys(receiptRig().receipts.figures), [RECEIPT_MEASURES], RECEIPT_COUNTERS],
  ['the admin server’s counters', http, [HTTP_MEASURES], HTTP_COUNTERS],
  ['problems of the gateway', Object.keys(PROBLEM_TITLES), [], PROBLEMS],
  ['the gateway’s counters', Object.keys(newCounters()), [GATEWAY_MEASURES], GATEWAY_COUNTERS],
])('%s', (_what, reasons, measures, causes) => {
  test('each reason has a test that causes it', () => {
    const wanted = reasons.filter((reason) => !measures.some((measure) => measure.test(reason)));
    expect(Object.keys(causes).toSorted()).toEqual(wanted.toSorted());
    for (const [reason, [file, title]] of Object.entries(causes)) {
      const text = testIn(file, title);
      expect(text, `${reason}: a test "${title}" in test/${file}`).not.toBe('');
      const name = reason.split('.').at(-1)!;
      expect(new RegExp(`(?<![-\\w])${name}(?![-\\w])`).test(text), `"${title}" in test/${file} names ${reason}`).toBe(
        true,
      );
    }
  });
});

const texts = new Map<string, string>();
/** A test, or a group of tests, with this in its title: up to the line that closes it. Empty where there is none. */
function testIn(file: string, title: string): string {
  const text = texts.get(file) ?? readFileSync(join(import.meta.dirname, '..', file), 'utf8');
  texts.set(file, text);
  const lines = text.split('\n');
  const named = lines.findIndex((line) => /(test|it|describe|'|`)/.test(line) && line.includes(title));
  if (named < 0) return '';
  const start = lines.findLastIndex((line, at) => at <= named && /^\s*(test|it|describe)\b/.test(line));
  const indent = /^\s*/.exec(lines[start] ?? '')![0];
  const end = lines.findIndex((line, at) => at > named && line.startsWith(`${indent}}`) && /^\s*\}[^,]*;$/.test(line));
  return lines.slice(Math.max(0, start), end < 0 ? undefined : end + 1).join('\n');
}
