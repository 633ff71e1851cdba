/**
 * kill -9 in the middle of charges: at most what was committed is spent, no charge that was answered is lost, and no key is
 * charged twice. The claims pay for each charge once and not a drop more, so a drop sold twice would be missing at the end.
 *
 * METER_KILLS and METER_CHARGES choose its length (`make meter-crash`), and so does `make test-long`. The service is test/support/meter-child.mjs.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { brieflyOrAtLength } from '../support/length.ts';
import { random } from '../support/random.ts';
import { storeUnderTest } from '../support/store-under-test.ts';
import { ThrowawayChannel } from '../support/throwaway-claims.ts';

const KILLS = Number(process.env.METER_KILLS ?? brieflyOrAtLength(2, 20));
const CHARGES = Number(process.env.METER_CHARGES ?? brieflyOrAtLength(600, 10_000));
const SEED = Number(process.env.METER_SEED ?? 1);
const CHANNELS = 4;
/** Claims a channel, in rising steps, so that charges wait for some of them. */
const STEPS = 40;

const data = mkdtempSync(join(tmpdir(), 'claimwire-meter-crash-'));
afterAll(() => rmSync(data, { recursive: true, force: true }));

type Account = [spent: string, committed: string];
type Message =
  | { event: 'started' | 'done'; accounts: Account[] }
  | { event: 'charged'; number: number; repeated: boolean; spent: string; committed: string };

const channels = Array.from({ length: CHANNELS }, (_, index) => new ThrowawayChannel(BigInt(index + 1)));
const charges = Array.from({ length: CHARGES }, (_, number) => [number, number % CHANNELS, 1 + (number % 7)] as const);
const totals = channels.map((_, index) =>
  charges.reduce((sum, [, channel, drops]) => sum + (channel === index ? BigInt(drops) : 0n), 0n),
);
const claims = channels.map((channel, index) =>
  Array.from({ length: STEPS }, (_, step) => (totals[index]! * BigInt(step + 1)) / BigInt(STEPS))
    .filter((amount) => amount > 0n)
    .map((amount) => Buffer.from(channel.claim(amount)).toString('hex')),
);
const openings = channels.map(({ channelId, ledgerChannelId, publicKey }) => ({
  channelId: String(channelId),
  ledgerChannelId: Buffer.from(ledgerChannelId).toString('hex'),
  publicKey: Buffer.from(publicKey).toString('hex'),
  capacity: '1000000000',
}));

/** Numbers of the charges that were answered. */
const served = new Set<number>();

/** Drops answered for on a channel. */
function servedOn(index: number): bigint {
  return charges.reduce(
    (sum, [number, channel, drops]) => sum + (channel === index && served.has(number) ? BigInt(drops) : 0n),
    0n,
  );
}

/** Runs the service until it is done, or until it has answered `killAfter` charges. Returns whether it was killed. */
async function run(killAfter: number): Promise<boolean> {
  const child = fork(join(import.meta.dirname, '../support/meter-child.mjs'), {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const faults: string[] = [];
  let answered = 0;
  let isKilled = false;
  child.on('message', (message: Message) => {
    if (message.event === 'charged') {
      if (BigInt(message.spent) > BigInt(message.committed)) faults.push(`charge ${message.number} over the committed`);
      if (served.has(message.number)) faults.push(`charge ${message.number} answered twice`);
      served.add(message.number);
      if (++answered < killAfter || isKilled) return;
      isKilled = true;
      child.kill('SIGKILL');
      return;
    }
    for (const [index, [spent, committed]] of message.accounts.entries()) {
      if (BigInt(spent) > BigInt(committed)) faults.push(`channel ${index}: spent ${spent} of ${committed}`);
      if (BigInt(spent) < servedOn(index)) faults.push(`channel ${index}: ${spent} spent, ${servedOn(index)} served`);
      if (message.event === 'done' && BigInt(spent) !== totals[index])
        faults.push(`channel ${index}: ${spent} at the end`);
    }
  });
  child.send({
    data,
    ...storeUnderTest.options(data),
    openings,
    claims,
    charges: charges.filter(([number]) => !served.has(number)),
  });
  const [code] = await once(child, 'exit');
  expect(faults).toEqual([]);
  if (!isKilled) expect(code).toBe(0);
  return isKilled;
}

test(`${KILLS} kills in the middle of ${CHARGES} charges: what is served was paid for, and paid for once`, async () => {
  const { below } = random(SEED);
  let kills = 0;
  while (kills < KILLS) {
    const share = Math.max(2, Math.floor((CHARGES - served.size) / (KILLS - kills + 1)));
    if (await run(1 + below(share * 2 - 1))) kills++;
    else break;
  }
  expect(kills).toBe(KILLS);
  expect(await run(Number.POSITIVE_INFINITY)).toBe(false);
  expect(served.size).toBe(CHARGES);
}, 600_000);
