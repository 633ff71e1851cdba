/** Names of the transports for peers that UDP and TCP do not reach (README, "WebSocket" and "WebRTC"). */

/** Subprotocol of a WebSocket, and protocol of a data channel. */
export const WEB_PROTOCOL = 'claimwire.1';
/** Path of the HTTP request that offers a WebRTC session. */
export const OFFER_PATH = '/rtc';
/** Content type of offers and answers. */
export const SDP_TYPE = 'application/sdp';
