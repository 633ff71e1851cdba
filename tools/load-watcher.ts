/** Shows the progress of a load run, always on stderr. */
import type { LoadInterval } from '../src/load/result.ts';
import type { LoadWatcher } from '../src/load/run.ts';
import { Progress } from './progress.ts';
import { countText } from './units.ts';

/**
 * @param rates how many steps there will be
 * @param durationMs how long each of them takes
 */
export function loadWatcher(rates: number, durationMs: number, progress = new Progress()): LoadWatcher {
  let step = 0;
  return {
    progress: (text) => progress.line(text),
    interval: (interval, waiting) => {
      const done = step + Math.min((interval.atSeconds * 1_000) / durationMs, 1);
      progress.update(done / rates, barText(interval), lineText(interval, waiting), (rates - done) * durationMs);
    },
    step: ({ requestedRate, ackedRate, latency, unanswered }) => {
      step += 1;
      if (step === rates) progress.clear();
      if (requestedRate !== null)
        progress.line(
          `at ${requestedRate}/s: ${Math.round(ackedRate)}/s acked, p99 ${latency.p99Ms.toFixed(2)} ms, ${unanswered} unanswered`,
        );
    },
    onStop: (stop) => stopAtSignals(stop, (text) => progress.line(text)),
  };
}

function barText({ sentPerSecond, ackedPerSecond, p99Ms }: LoadInterval): string {
  return `sent ${countText(sentPerSecond)}/s  acked ${countText(ackedPerSecond)}/s  p99 ${p99Ms.toFixed(1)} ms`;
}

function lineText({ atSeconds, sentPerSecond, ackedPerSecond, p50Ms, p99Ms }: LoadInterval, waiting: number): string {
  const rates = `sent ${Math.round(sentPerSecond)}/s  acked ${Math.round(ackedPerSecond)}/s`;
  return `${atSeconds.toFixed(0).padStart(4)} s  ${rates}  p50 ${p50Ms.toFixed(2)} ms  p99 ${p99Ms.toFixed(2)} ms  ${waiting} waiting`;
}

/** The first SIGINT or SIGTERM ends the run, a second one the process. */
export function stopAtSignals(stop: () => void, say: (text: string) => void): void {
  let isStopping = false;
  const onSignal = () => {
    if (isStopping) process.exit(1);
    isStopping = true;
    say('stopping; once more to end at once, which leaves the channels at the node');
    stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal);
}
