/**
 * The one list of cases: what protocol/README.md promises of every transport, and of those that are streams.
 */
import type { NodeOptions } from '../../../dist/src/index.js';
import { storeUnderTest } from '../../support/store-under-test.ts';
import { ACCEPTANCE_CASES } from './acceptance-cases.ts';
import { ACK_CASES, OVERLOAD_CASES, REFUSAL_CASES } from './ack-cases.ts';
import { CONTROL_CASES } from './control-cases.ts';
import { FRAME_CASES } from './frame-cases.ts';
import { MERKLE_CASES } from './merkle-cases.ts';
import { RECONCILE_CASES } from './reconcile-cases.ts';
import type { Stage } from './stage.ts';
import { STREAM_CASES } from './stream-cases.ts';
import type { TransportEntry } from './transports.ts';

export interface ConformanceCase {
  name: string;
  run(stage: Stage): Promise<void>;
  /** What the node is started with beside the transport's options; the cases share one as long as these are the same. */
  options?: NodeOptions;
  /** Whether the transport has what the case is about; without it every one has. */
  appliesTo?: (entry: TransportEntry) => boolean;
}

const ALL: readonly ConformanceCase[] = [
  ...ACCEPTANCE_CASES,
  ...ACK_CASES,
  ...FRAME_CASES,
  ...STREAM_CASES,
  ...CONTROL_CASES,
  ...MERKLE_CASES,
  // They use up the refusals of an address, which come back in two seconds.
  ...REFUSAL_CASES,
  // It restarts the node with what the last case wants.
  ...RECONCILE_CASES,
  ...OVERLOAD_CASES,
];

/** What frames and streams are refused for comes before the store: briefly a database sees the rules, and the reckoning. */
export const CASES = storeUnderTest.isBrief ? [...ACCEPTANCE_CASES, ...RECONCILE_CASES] : ALL;
