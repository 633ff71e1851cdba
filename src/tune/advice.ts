/** What only a start can change: advice for the next one, from how busy the threads are. Pure. */
import type { Sample } from '../metrics/sample.ts';

export interface Layout {
  readonly layout: string;
  /** Threads that verify: lanes, or the verifiers of a pipeline. */
  readonly verifiers: number;
  readonly cores: number;
}

export interface Advice {
  readonly option: '--lanes' | '--verifiers';
  readonly from: number;
  readonly to: number;
  readonly because: string;
}

/** Where more of a ring than this waits, threads are not idle: others have their cores. */
const DEPTH_IDLE = 0.02;
/** Of a thread's time: above it another thread helps, below it one fewer does, which makes larger batches. */
const BUSY_HIGH = 0.85;
const BUSY_LOW = 0.3;

export function adviceOf(
  { busy, rates, ring }: Pick<Sample, 'busy' | 'rates' | 'ring'>,
  { layout, verifiers, cores }: Layout,
): Advice | null {
  const isLanes = layout === 'lanes';
  const option = isLanes ? '--lanes' : '--verifiers';
  const total = isLanes ? busy.receive + busy.verify + busy.commit + busy.write + busy.send : busy.verify;
  const share = total / verifiers;
  const percent = `${Math.round(share * 100)} % of their time`;
  if (share > BUSY_HIGH && verifiers < cores)
    return {
      option,
      from: verifiers,
      to: verifiers + 1,
      because: `they are busy ${percent}, and there are ${cores} cores`,
    };
  const isIdle = share < BUSY_LOW && ring.depth < ring.slots * DEPTH_IDLE && rates.committed > 0;
  if (isIdle && verifiers > 1 && total / (verifiers - 1) < BUSY_HIGH / 2)
    return { option, from: verifiers, to: verifiers - 1, because: `they are busy ${percent}` };
  return null;
}
