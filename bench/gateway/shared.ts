/** What the processes of this bench agree on. */
export const SEED = 21;
/** Of the channels that are paid by UDP. */
export const UDP_SEED = 22;
/** So many that two vouchers of one channel are hardly ever under way at once. */
export const CHANNELS = 1_024;
/** Drops for a request: the amounts of signed-ahead claims rise by one. */
export const PRICE = 1n;
export const MERCHANT = { realm: '127.0.0.1', recipient: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh', network: 'testnet' };
