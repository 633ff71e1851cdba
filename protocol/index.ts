/**
 * The wire protocol, for both ends. Imports nothing of Node: it runs in a browser.
 *
 * @module claimwire/protocol
 */
export * from './ack.ts';
export * from './claim.ts';
export * from './control.ts';
export * from './control-codec.ts';
export * from './digest.ts';
export * from './frames.ts';
export * from './layout.ts';
export * from './merkle.ts';
export * from './merkle-frame.ts';
export * from './receipt.ts';
export * from './route.ts';
export * from './session.ts';
export * from './shard.ts';
export * from './stream.ts';
