/**
 * The way to one node, or to one of its addresses: its round trips, its window, and the channels that wait for room in it.
 * A payer of one node has one; over a cluster it has one for each node in use, so that a silent node holds up no other's
 * channels. Payer's thread.
 */
import type { Flow } from './flow.ts';
import type { RttEstimator } from './rto.ts';
import type { SendWindow } from './send-window.ts';

export class SendPath {
  readonly rtt: RttEstimator;
  readonly window: SendWindow;
  /** Channels whose newest amount waits for room in the window, in order of arrival. */
  readonly line = new Set<Flow>();
  /** When an ack last said that something new is durable. */
  progressAt = 0;

  constructor(rtt: RttEstimator, window: SendWindow) {
    this.rtt = rtt;
    this.window = window;
  }
}
