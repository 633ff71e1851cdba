/**
 * Somebody who floods a node: a process of its own (test/siege/attackers), stopped and let go on by turns, so that it has half a core
 * at most. Main thread of a bench.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../src/errors.ts';
import { endsWithBench, type NodeUnderTest } from '../node-under-test.ts';

const ATTACKER = join('test', 'siege', 'attackers', 'udp-claims.mjs');
const THROTTLE_MS = 10;
/** The first four bytes of the ledger id of the first channel that it attacks. */
const FIRST_CHANNEL = 0xa000_0000;
/** Channels in a request. */
const REQUEST_CHANNELS = 20_000;

/** Opens channels that nobody pays on. */
export async function openChannels(
  node: NodeUnderTest,
  count: number,
  publicKeyOf: (index: number) => string,
): Promise<void> {
  const [url, token] = [node.loadFlags[3]!, readFileSync(node.loadFlags[5]!, 'utf8').trim()];
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' };
  for (let from = 0; from < count; from += REQUEST_CHANNELS) {
    const lines = Array.from({ length: Math.min(REQUEST_CHANNELS, count - from) }, (_, index) =>
      JSON.stringify({
        ledgerChannelId: (FIRST_CHANNEL + from + index).toString(16).padEnd(64, '0'),
        publicKey: publicKeyOf(from + index),
        capacity: '1000',
      }),
    );
    const response = await fetch(`${url}/channels`, { method: 'POST', headers, body: lines.join('\n') });
    assert(response.ok, `channels are opened: ${await response.text()}`);
  }
}

/** Resolves with what it printed at its end. */
export function attackOn(udpPort: number, seconds: number, options: object): Promise<string> {
  const given = { port: udpPort, udpPort, seconds, firstChannel: String(BigInt(FIRST_CHANNEL) << 32n), ...options };
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child: ChildProcess = endsWithBench(
    spawn(process.execPath, [ATTACKER, JSON.stringify(given)], { stdio: [...stdio] }),
  );
  let isStopped = false;
  const throttle = setInterval(() => {
    isStopped = !isStopped;
    child.kill(isStopped ? 'SIGSTOP' : 'SIGCONT');
  }, THROTTLE_MS);
  let printed = '';
  child.stdout!.on('data', (text) => {
    printed += String(text);
  });
  return new Promise((resolve) =>
    child.once('close', () => {
      clearInterval(throttle);
      resolve(printed.trim().split('\n').at(-1)!);
    }),
  );
}
