/** Traces and profiles of a node in memory: they say what a test puts in. */
import type {
  InspectControl,
  NodeProfile,
  TracedClaim,
  TraceOptions,
  TraceSummary,
} from '../../src/control/inspect-control.ts';

export const TRACED: TracedClaim = {
  channelId: '1',
  lane: 0,
  amount: '500',
  sequence: 0,
  from: 'udp 192.0.2.7:4096',
  outcome: 'committed',
  at: Date.UTC(2026, 5, 1, 12) + 0.25,
  verifyUs: 410,
  doneUs: 1_240,
  resolutionUs: 220,
};
const quantiles = (p50: number) => ({ count: 3, p50, p99: p50 * 2, max: p50 * 3 });
const SUMMARY: TraceSummary = {
  seconds: 1,
  claims: 3,
  untold: 0,
  slots: 900,
  missedSlots: 0,
  looks: 5_000,
  resolutionUs: quantiles(200),
  verifyUs: quantiles(400),
  doneUs: quantiles(1_200),
};
const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 6, columnNumber: 0 });
export const PROFILE: NodeProfile = {
  at: Date.UTC(2026, 5, 1, 12),
  seconds: 1,
  nodeVersion: '22.11.0',
  addonFunctions: ['verifySlots', 'pathCommit'],
  silent: ['verifier 1'],
  threads: [
    {
      name: 'lane 0',
      profile: {
        startTime: 0,
        endTime: 1_000_000,
        nodes: [
          { id: 1, callFrame: frame('(root)'), children: [2, 5] },
          { id: 2, callFrame: frame('step', 'file:///home/me/claimwire/dist/src/threads/boot.js'), children: [3, 4] },
          { id: 3, callFrame: frame('pathCommit') },
          { id: 4, callFrame: frame('fdatasync') },
          { id: 5, callFrame: frame('(idle)') },
        ],
        samples: [3, 3, 2, 4, 5, 5],
        timeDeltas: [0, 1_000, 1_000, 500, 2_000, 4_000],
      },
    },
  ],
};

export class FakeInspect implements InspectControl {
  /** Claims of the next trace. */
  claims: TracedClaim[] = [TRACED];
  /** Called when a trace has told its claims; it ends when this resolves. */
  untilEnd: (signal: AbortSignal | undefined) => Promise<void> = async () => {};
  profiled: number | undefined;
  traced: { channelId: bigint; seconds: number } | undefined;

  async trace(channelId: bigint, { seconds, signal, onClaims }: TraceOptions): Promise<TraceSummary> {
    this.traced = { channelId, seconds };
    onClaims(this.claims);
    await this.untilEnd(signal);
    return SUMMARY;
  }

  async profile(seconds: number): Promise<NodeProfile> {
    this.profiled = seconds;
    return PROFILE;
  }
}
