/**
 * What a run's figures mean, one sentence each, and whether it passed. Main thread.
 */
import { kneeOf, unexpectedRefusals } from './ramp.ts';
import type { Delivery, LoadResult, LoadStep, Reconciliation } from './result.ts';

export interface Outcome {
  steps: readonly LoadStep[];
  isRamp: boolean;
  /** Where one was asked for. */
  sloMs: number | null;
  signer: string;
  /** A replay has no amounts of its own to reconcile. */
  isReplay: boolean;
  /** Null where the node did not say. */
  reconciliation: Reconciliation | null;
  delivery: Delivery | null;
  /** What the sockets reported. */
  failures: number;
  lastFailure: string | undefined;
  isInterrupted: boolean;
}

/** A ramp needs one to find its knee. */
const SLO_MS_DEFAULT = 10;
/** Of the claims of a step: more late ones than that, and it is the generator that is measured. */
const LATE_SHARE_MAX = 0.01;

export function judge(outcome: Outcome): Pick<LoadResult, 'knee' | 'pass' | 'verdict'> {
  const { steps, isRamp, reconciliation } = outcome;
  const sloMs = outcome.sloMs ?? (isRamp ? SLO_MS_DEFAULT : null);
  const knee = isRamp ? kneeOf(steps, sloMs!) : null;
  const acked = steps.reduce((sum, step) => sum + step.acked, 0);
  const verdict: string[] = [];
  if (outcome.isInterrupted) verdict.push('Interrupted: the figures are of what was sent until then.');
  if (acked === 0) verdict.push(nothingAcknowledged(outcome));
  for (const step of steps) verdict.push(...stepSentences(step, isRamp));
  const isSlow = sloMs !== null && !isRamp && acked > 0 && steps.some(({ latency }) => latency.p99Ms > sloMs);
  if (isRamp) verdict.push(rampSentence(knee, sloMs!, outcome.sloMs === null));
  else if (isSlow) verdict.push(`SLO missed: p99 is ${ms(steps[0]!.latency.p99Ms)}, above ${sloMs} ms.`);
  else if (sloMs !== null && acked > 0)
    verdict.push(`SLO met: p99 is ${ms(steps[0]!.latency.p99Ms)}, within ${sloMs} ms.`);
  if (outcome.signer === 'noble')
    verdict.push(
      'Claims were signed by noble, some thousands a second at most, because there is no addon: the generator is slow.',
    );
  if (outcome.delivery !== null) verdict.push(...deliverySentences(outcome.delivery));
  if (reconciliation !== null) verdict.push(reconcileSentence(reconciliation));
  else if (!outcome.isReplay) verdict.push('Not reconciled: the admin interface did not answer after the run.');
  const isHeld = isRamp ? knee !== null : !isSlow;
  const isProven = outcome.isReplay || reconciliation?.short === 0;
  return { knee, pass: acked > 0 && isHeld && isProven, verdict };
}

function nothingAcknowledged({ failures, lastFailure, steps }: Outcome): string {
  const sent = steps.reduce((sum, step) => sum + step.sent, 0);
  const reason = failures > 0 ? `the sockets failed ${failures} times, last with ${lastFailure}` : 'no ack came';
  return `Nothing was acknowledged of ${sent} claims: ${reason}; check --to and whether the node runs.`;
}

function* stepSentences(step: LoadStep, isRamp: boolean): Generator<string> {
  const at = isRamp ? `At ${step.requestedRate}/s: ` : '';
  const { late, sent } = step;
  if (late.unsent > 0 || late.claims > sent * LATE_SHARE_MAX)
    yield `${at}${isRamp ? 'the' : 'The'} generator was the limit, not the node alone: ${late.claims} of ${sent} claims left more than ${late.lateMs} ms late, the latest by ${ms(late.maxMs)}, and ${late.unsent} never left.`;
  if (step.unanswered > 0) yield `${at}${step.unanswered} of ${sent} claims were not answered in time.`;
  const refusals = unexpectedRefusals(step);
  if (refusals > 0) {
    const names = Object.entries(step.refused).map(([name, count]) => `${count} ${name}`);
    yield `${at}${refusals} claims were refused that should not have been (${names.join(', ')}).`;
  }
  if (step.already > step.faults.stale + step.faults.reordered)
    yield `${at}${step.already} claims were answered ALREADY: the node had their amounts before.`;
  if (step.strayAcks > 0) yield `${at}${step.strayAcks} frames came in that were no ack of these channels.`;
}

function* deliverySentences({ sent, received, nodeDrops, ackDrops }: Delivery): Generator<string> {
  if (received < sent)
    yield `${sent - received} of ${sent} claims never reached the node (its sockets had no room for ${nodeDrops} messages): where they count as acknowledged, a newer claim covered them.`;
  if (ackDrops > 0) yield `The generator's own sockets had no room for ${ackDrops} messages with acks.`;
}

function rampSentence(knee: LoadResult['knee'], sloMs: number, isDefault: boolean): string {
  const slo = `p99 within ${sloMs} ms${isDefault ? ' (the default, since no --slo was given)' : ''}`;
  if (knee === null) return `No rate held ${slo} with everything answered.`;
  return `Knee at ${knee.requestedRate}/s: the highest rate with ${slo} and everything answered.`;
}

function reconcileSentence({ channels, acknowledgedDrops, committedDrops, short }: Reconciliation): string {
  if (short > 0)
    return `MISSING: ${short} of ${channels} channels have less committed than was acknowledged (${acknowledgedDrops} drops acknowledged, ${committedDrops} committed).`;
  return `Reconciled: all ${acknowledgedDrops} drops acknowledged over ${channels} channels are committed (${committedDrops} in all).`;
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} ms`;
}
