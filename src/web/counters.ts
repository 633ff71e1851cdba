/** What a web process counts; it tells the node what has come on top. */
export const WEB_COUNTER_NAMES = [
  'accepted', // peers connected; less `closed`, those connected now
  'closed',
  'websocketAccepted', // of those accepted, WebSocket connections
  'websocketClosed',
  'webrtcAccepted', // of those accepted, WebRTC peers with an open data channel
  'messages', // messages of claims
  'messagesDropped', // messages of WebRTC peers for which there was no room
  'paused', // times a WebSocket was not read on, since the node had not taken what it sent
  'control', // control messages
  'controlRefused', // of these, refused here: malformed, or over a limit
  'controlDropped', // control messages over twice a peer's rate
  'acksDropped', // acks for a peer that does not read
  'acksGone', // acks for a peer that has gone
  'refusedFull', // peers over the table
  'refusedAddress', // peers and connections over their address's share
  'refusedOrigin', // requests of a page that is not on the allow-list
  'refusedRequest', // requests that are neither an upgrade nor an offer, and unsound ones
  'refusedOffer', // offers that the library could not read
  'refusedRate', // offers over the rate
  'offers', // offers answered
  'tlsFailed',
  'cutSilent', // peers cut because they never sent a message, or never connected
  'cutIdle', // peers cut because they sent no message for long
  'cutUnsound', // WebSockets cut because of an unsound frame, a text, or a message that is too long
  'restarts', // times the web process ended and was started again
] as const;
export type WebCounterName = (typeof WEB_COUNTER_NAMES)[number];
export type WebCounts = Record<WebCounterName, number>;

export function zeroCounts(): WebCounts {
  return Object.fromEntries(WEB_COUNTER_NAMES.map((name) => [name, 0])) as WebCounts;
}
