/** The package's entry point: run a node. Payers are behind `claimwire/client`, the wire format behind `claimwire/protocol`. */

export type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from './channel/changes.ts';
export type { Channel, ChannelState } from './channel/row.ts';
export type { NodeConfig, NodeOptions } from './config.ts';
export type { NodeControl, NodeStats } from './control/node-control.ts';
export { ClaimwireError, type ErrorCode } from './errors.ts';
export type { HostPort } from './host-port.ts';
export { ClaimwireNode, type NodeTotals } from './node.ts';
export { type ServingNode, serve } from './serve.ts';
