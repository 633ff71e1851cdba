/** Whether a run passed, and what its figures mean, in one sentence each. Main thread. */
import { checksOf, kneeOf, lostOf, sumOf, unexpectedRefusals } from './bounds.ts';
import type { Delivery, LoadResult, LoadStep, Reconciliation } from './result.ts';
import type { LoadBounds } from './settings.ts';

export interface Outcome extends Pick<LoadResult, 'steps' | 'signer' | 'reconciliation' | 'delivery'> {
  isRamp: boolean;
  bounds: LoadBounds;
  /** A replay has no amounts of its own to reconcile. */
  isReplay: boolean;
  /** How often the sockets failed, and the system's word for the last failure. */
  failures: number;
  lastFailure: string | undefined;
  isInterrupted: boolean;
}

/** With a larger share of late claims in a step, its figures are not those of the node alone. */
const LATE_SHARE_MAX = 0.01;

export function judge(outcome: Outcome): Pick<LoadResult, 'knee' | 'checks' | 'outcome' | 'pass' | 'verdict'> {
  const { steps, isRamp, reconciliation, bounds } = outcome;
  const knee = isRamp ? kneeOf(steps, bounds) : null;
  const checks = checksOf(isRamp ? judgedStep(steps, knee) : steps, bounds);
  const acked = sumOf(steps, (step) => step.acked);
  const verdict: string[] = [];
  if (outcome.isInterrupted) verdict.push('Interrupted: the figures are of what was sent until then.');
  if (acked === 0) verdict.push(nothingAcknowledged(outcome));
  for (const step of steps) verdict.push(...stepSentences(step, isRamp, bounds));
  if (isRamp) verdict.push(rampSentence(knee, bounds));
  else if (acked > 0) verdict.push(sloSentence(steps, bounds));
  if (outcome.signer === 'wasm')
    verdict.push('Claims were signed in WebAssembly, because there is no addon: the generator may be the limit.');
  verdict.push(...deliverySentences(outcome.delivery));
  if (reconciliation !== null) verdict.push(reconcileSentence(reconciliation));
  else if (!outcome.isReplay) verdict.push('Not reconciled: the admin interface did not answer after the run.');
  const isHeld = isRamp ? knee !== null : checks.every(({ held }) => held);
  const isProven = outcome.isReplay || reconciliation?.short === 0;
  const word = outcome.isInterrupted ? 'INTERRUPTED' : acked > 0 && isHeld && isProven ? 'PASS' : 'FAIL';
  return { knee, checks, outcome: word, pass: word === 'PASS', verdict };
}

/** The ramp's step at the knee, or its first step where there is no knee. */
function judgedStep(steps: readonly LoadStep[], knee: LoadResult['knee']): LoadStep[] {
  const at = knee === null ? steps[0] : steps.find(({ requestedRate }) => requestedRate === knee.requestedRate);
  return at === undefined ? [] : [at];
}

function nothingAcknowledged({ failures, lastFailure, steps }: Outcome): string {
  const sent = sumOf(steps, (step) => step.sent);
  const reason = failures > 0 ? `the sockets failed ${failures} times, last with ${lastFailure}` : 'no ack came';
  return `Nothing was acknowledged of ${sent} claims: ${reason}; check --to and whether the node runs.`;
}

function* stepSentences(step: LoadStep, isRamp: boolean, bounds: LoadBounds): Generator<string> {
  const at = isRamp ? `At ${step.requestedRate}/s: ` : '';
  const { late, sent } = step;
  if (late.unsent > 0 || late.claims > sent * LATE_SHARE_MAX) yield `${at}${lateSentence(step, isRamp, bounds)}`;
  yield* ownShareSentence(step, at);
  if (step.unanswered > 0) yield `${at}${step.unanswered} of ${sent} claims were not answered in time.`;
  const refusals = unexpectedRefusals(step);
  if (refusals > 0) {
    const names = Object.entries(step.refused).map(([name, count]) => `${count} ${name}`);
    yield `${at}${refusals} claims were refused that should not have been (${names.join(', ')}).`;
  }
  if (step.moved + step.resent > 0)
    yield `${at}Shards moved: ${step.moved} claims were answered MOVED, and ${step.resent} sent once more to the node that has their channel now.`;
  if (step.already > step.faults.stale + step.faults.reordered)
    yield `${at}${step.already} claims were answered ALREADY: the node had their amounts before.`;
  if (step.strayAcks > 0) yield `${at}${step.strayAcks} frames came in that were no ack of these channels.`;
}

/** Where more than half of the latency is the generator's, its figures are of this machine rather than of the node. */
function* ownShareSentence({ latency, wire }: LoadStep, at: string): Generator<string> {
  if (wire === null || latency.p99Ms <= 2 * wire.p99Ms) return;
  yield `${at}Of ${ms(latency.p99Ms)} at p99, ${ms(wire.p99Ms)} are from wire to wire; the rest is the generator’s own: leaving late, packing claims, reading acks.`;
}

/**
 * Why claims left late or never. The generator was the limit if its sockets had room and the node had capacity left. The
 * node had capacity left if loss, refusals, and latency from the actual send time all kept the bounds.
 */
function lateSentence(step: LoadStep, isRamp: boolean, bounds: LoadBounds): string {
  const { late, sent, delivery } = step;
  const the = isRamp ? 'the' : 'The';
  const what = `${late.claims} of ${sent} claims left more than ${late.lateMs} ms late, the latest by ${ms(late.maxMs)}, and ${late.unsent} never left`;
  if (late.blocked * 2 > late.claims + late.unsent)
    return `${the} sockets were full, so that ${what}: what lies behind them took no more.`;
  const [loss, refused] = checksOf([step], bounds);
  const isLossless = loss!.held && refused!.held;
  const isFast = step.uncorrected.p99Ms <= bounds.sloMs;
  if (delivery !== null && isLossless && isFast)
    return `${the} generator was the limit, not the node, which had capacity left: ${what}.`;
  let reason = 'nothing is known of the node';
  if (delivery !== null && !isLossless) reason = 'the node lost or refused claims meanwhile';
  else if (delivery !== null) reason = `the node took ${ms(step.uncorrected.p99Ms)} at p99 from when they left`;
  return `${what}; whether the generator could have kept up is not known, since ${reason}.`;
}

function* deliverySentences(delivery: Delivery | null): Generator<string> {
  if (delivery === null) {
    yield 'The node’s side is not known, since its admin interface did not answer all along: loss counts only claims that were not answered.';
    return;
  }
  const { sent, nodeDrops, ackDrops, acknowledgedByNewer } = delivery;
  const lost = lostOf(delivery);
  if (lost > 0)
    yield `${lost} of ${sent} claims never reached the node (its sockets had no room for ${nodeDrops} messages); acks are cumulative, so they may be among the ${acknowledgedByNewer} that only a newer claim's ack covered.`;
  if (ackDrops > 0) yield `The generator's own sockets had no room for ${ackDrops} messages with acks.`;
}

function sloSentence(steps: readonly LoadStep[], { sloMs }: LoadBounds): string {
  const p99Ms = Math.max(...steps.map(({ latency }) => latency.p99Ms));
  if (p99Ms > sloMs) return `SLO missed: p99 is ${ms(p99Ms)}, above ${sloMs} ms.`;
  return `SLO met: p99 is ${ms(p99Ms)}, within ${sloMs} ms.`;
}

function rampSentence(knee: LoadResult['knee'], { sloMs }: LoadBounds): string {
  const kept = `p99 within ${sloMs} ms and loss and refusals within their bounds`;
  if (knee === null) return `No rate held ${kept}.`;
  return `Knee at ${knee.requestedRate}/s: the highest rate with ${kept}.`;
}

function reconcileSentence({ channels, acknowledgedDrops, committedDrops, short }: Reconciliation): string {
  if (short > 0)
    return `MISSING: ${short} of ${channels} channels have less committed than was acknowledged (${acknowledgedDrops} drops acknowledged, ${committedDrops} committed).`;
  return `Reconciled: all ${acknowledgedDrops} drops acknowledged over ${channels} channels are committed (${committedDrops} in all).`;
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} ms`;
}
