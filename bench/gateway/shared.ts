/** What the processes of this bench agree on. */
export const SEED = 21;
/** Of the channels that are paid by UDP. */
export const UDP_SEED = 22;
export const CONNECTIONS = 64;
/**
 * Vouchers of all channels in turn come over all connections. One that comes after the next of its channel pays for nothing
 * and is refused, so a connection would have to be 16 requests behind the others. With 4 it happened within seconds.
 */
export const CHANNELS = 16 * CONNECTIONS;
/** Drops for a request: the amounts of signed-ahead claims rise by one. */
export const PRICE = 1n;
export const MERCHANT = { realm: '127.0.0.1', recipient: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh', network: 'testnet' };
