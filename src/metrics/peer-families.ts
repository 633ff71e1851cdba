/** Metrics of those who are connected: TCP, WebSocket and WebRTC peers, the admin server, the gateway. Any thread. */
import { counted, countedEach, counter, type Facts, type Family, gauge, labelled } from './family.ts';

const TCP_REFUSED = ['refusedFull', 'refusedAddress', 'acceptFailed', 'tlsFailed'];
const TCP_CUT = ['cutSlowReader', 'cutQueuesFull', 'cutSilent', 'cutIdle', 'cutLength', 'endedInside'];
const WEB_REFUSED = [
  'refusedFull',
  'refusedAddress',
  'refusedOrigin',
  'refusedRequest',
  'refusedOffer',
  'refusedRate',
  'tlsFailed',
];
const WEB_CUT = ['cutSilent', 'cutIdle', 'cutUnsound'];
const WEB_DROPPED = ['messagesDropped', 'acksDropped', 'acksGone', 'controlDropped'];
const GATEWAY_ANSWERS = [
  'free',
  'paidByVoucher',
  'paidBySession',
  'replayed',
  'notFound',
  'busy',
  'forwarded',
  'forwardFailed',
  'upstreamFailed',
  'upstreamCut',
  'withheld',
  'clientGone',
  'streamsUnpaid',
  'upgradesRefused',
  'badRequests',
  'failed',
];

const path = (name: string, help: string, of: string) => counter(name, help, (facts) => counted(facts, of));
const each = (name: string, help: string, group: string, names: readonly string[]) =>
  labelled('counter', name, help, 'reason', (facts) => countedEach(facts, group, names));

function less(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? undefined : left - right;
}

const tcp: Family[] = [
  gauge('claimwire_tcp_connections', 'TCP connections of payers that are open.', (facts) =>
    less(counted(facts, 'tcp.accepted'), counted(facts, 'tcp.closed')),
  ),
  path('claimwire_tcp_accepted_total', 'TCP connections accepted.', 'tcp.accepted'),
  path('claimwire_tcp_closed_total', 'Of these, those that ended.', 'tcp.closed'),
  each('claimwire_tcp_refused_total', 'TCP connections that came to nothing, by reason.', 'tcp', TCP_REFUSED),
  each(
    'claimwire_tcp_cut_total',
    'TCP connections that were cut, or broke off inside a message, by reason.',
    'tcp',
    TCP_CUT,
  ),
  path('claimwire_tcp_paused_total', 'Times that the reading of a connection paused.', 'tcp.paused'),
  path('claimwire_tcp_control_total', 'Control messages accepted.', 'tcp.control'),
  path(
    'claimwire_tcp_control_refused_total',
    'Of these, those that the transport itself answered with an error.',
    'tcp.controlRefused',
  ),
  path(
    'claimwire_tcp_control_held_total',
    'Times that reading paused because of the rate of control messages.',
    'tcp.controlHeld',
  ),
];

const web: Family[] = [
  labelled('gauge', 'claimwire_web_peers', 'Peers that are connected, by kind.', 'kind', (facts) => {
    const websocket = less(counted(facts, 'web.websocketAccepted'), counted(facts, 'web.websocketClosed'));
    return [
      ['websocket', websocket],
      ['webrtc', less(less(counted(facts, 'web.accepted'), counted(facts, 'web.closed')), websocket)],
    ];
  }),
  labelled('counter', 'claimwire_web_accepted_total', 'Peers accepted, by kind.', 'kind', (facts) => [
    ['websocket', counted(facts, 'web.websocketAccepted')],
    ['webrtc', counted(facts, 'web.webrtcAccepted')],
  ]),
  path(
    'claimwire_web_connections_total',
    'WebSocket connections and WebRTC peers, also those whose channel never opened.',
    'web.accepted',
  ),
  labelled('counter', 'claimwire_web_closed_total', 'Peers that ended, by kind; all counts both.', 'kind', (facts) => [
    ['all', counted(facts, 'web.closed')],
    ['websocket', counted(facts, 'web.websocketClosed')],
  ]),
  path('claimwire_web_messages_total', 'Messages of claims from such peers.', 'web.messages'),
  path('claimwire_web_paused_total', 'Times that a WebSocket was not read on.', 'web.paused'),
  path('claimwire_web_control_total', 'Control messages of such peers.', 'web.control'),
  path(
    'claimwire_web_control_refused_total',
    'Of these, those that the web process itself answered with an error.',
    'web.controlRefused',
  ),
  path('claimwire_web_offers_total', 'WebRTC offers answered.', 'web.offers'),
  each('claimwire_web_refused_total', 'Peers and requests refused, by reason.', 'web', WEB_REFUSED),
  each('claimwire_web_cut_total', 'Peers that were cut, by reason.', 'web', WEB_CUT),
  each(
    'claimwire_web_dropped_total',
    'Messages, acks, requests and replies of such peers that were dropped, by kind.',
    'web',
    WEB_DROPPED,
  ),
  path('claimwire_web_restarts_total', 'Times that the web process ended and was started again.', 'web.restarts'),
];

const http = (name: string) => (facts: Facts) => facts.http[name];
const admin: Family[] = [
  gauge('claimwire_admin_connections', 'Connections of the admin server that are open.', http('connections')),
  gauge(
    'claimwire_admin_held_requests',
    'Requests held open: long polls, charges that wait, event streams.',
    http('held'),
  ),
  counter('claimwire_admin_accepted_total', 'Connections accepted.', http('accepted')),
  labelled(
    'counter',
    'claimwire_admin_cut_total',
    'Connections closed by the server or answered with an error before their request was read, by reason.',
    'reason',
    (facts) => ['evicted', 'late', 'malformed', 'feedCut'].map((name) => [name, facts.http[name]] as const),
  ),
  counter(
    'claimwire_admin_busy_total',
    'Requests answered 503 because too many of their kind were under way.',
    http('busy'),
  ),
  counter(
    'claimwire_admin_sweeps_total',
    'Event streams too far behind, which were told of all channels again.',
    http('sweeps'),
  ),
  counter(
    'claimwire_admin_forwarded_total',
    'Requests passed on to the node of the cluster that holds their channel.',
    http('forwarded'),
  ),
  counter(
    'claimwire_admin_forward_failed_total',
    'Requests passed on that the holder did not answer.',
    http('forwardFailed'),
  ),
];

/** A part of what the gateway counts, where there is one. */
function gatewayed({ beside }: Facts, name: string): unknown {
  return (beside.gateway as Record<string, unknown> | undefined)?.[name];
}
const ofGateway = (name: string) => (facts: Facts) => {
  const value = gatewayed(facts, name);
  return value === undefined ? undefined : Number(value);
};
const gateway: Family[] = [
  counter('claimwire_gateway_requests_total', 'Requests to the gateway.', ofGateway('requests')),
  labelled(
    'counter',
    'claimwire_gateway_answers_total',
    'What became of requests to the gateway.',
    'outcome',
    (facts) => GATEWAY_ANSWERS.map((name) => [name, ofGateway(name)(facts)] as const),
  ),
  labelled(
    'counter',
    'claimwire_gateway_problems_total',
    'Answers 402, by the type of the problem.',
    'problem',
    (facts) => Object.entries((gatewayed(facts, 'problems') ?? {}) as Record<string, number>),
  ),
  // Refunds are taken off, so that it may fall.
  gauge('claimwire_gateway_charged_drops', 'Drops charged less drops refunded.', ofGateway('drops')),
  counter('claimwire_gateway_refunded_total', 'Charges taken back because the upstream failed.', ofGateway('refunded')),
  counter('claimwire_gateway_opened_total', 'Channels opened through the gateway.', ofGateway('opened')),
  counter('claimwire_gateway_closed_total', 'Channels closed through the gateway.', ofGateway('closed')),
  gauge('claimwire_gateway_requests_under_way', 'Requests that are being answered.', ofGateway('underWay')),
  gauge('claimwire_gateway_replies', 'Answers kept for a repetition.', ofGateway('replies')),
  gauge('claimwire_gateway_reply_bytes', 'Bytes of these.', ofGateway('replyBytes')),
];

export const PEER_FAMILIES: readonly Family[] = [...tcp, ...web, ...admin, ...gateway];
