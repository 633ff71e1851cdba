/**
 * A process that recovers one image after the other (recover.mjs), started again where an image ends it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { LANES, ROOT, SEGMENT_BYTES } from './record.ts';

interface RecoveredChannel {
  channelId: bigint;
  committed: bigint;
  signature: Uint8Array;
}
export type Recovered = { channels: RecoveredChannel[] } | { refused: string };

export class Recovery {
  #child: ChildProcess | undefined;

  /** What a node that starts on the data folder knows; the folder is changed as a start changes it. */
  async recover(data: string): Promise<Recovered> {
    this.#child ??= fork(join(ROOT, 'test/powerloss/recover.mjs'), {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const child = this.#child;
    return await new Promise((resolve) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#child = undefined;
        resolve({ refused: `the process ended with ${code ?? signal}` });
      };
      child.once('exit', ended);
      child.once('message', (answer) => {
        child.off('exit', ended);
        resolve(answer as Recovered);
      });
      child.send({ data, lanes: LANES, segmentBytes: SEGMENT_BYTES });
    });
  }

  stop(): void {
    this.#child?.kill();
    this.#child = undefined;
  }
}
