/**
 * A payer with a real key over UDP on one core, and a node on the other: claims acknowledged a second. Main thread of the
 * bench; the payer (paying.ts) and the node are processes of their own.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Secp256k1Signer } from '../../src/client/index.ts';
import { assert } from '../../src/errors.ts';
import type { BenchContext, Figures } from '../harness.ts';
import { endsWithBench, NodeUnderTest, processorSeconds, within } from '../node-under-test.ts';
import { difference } from '../path/load.ts';
import { PAYING, type Paid, type Work } from './paying.ts';

const CLI = fileURLToPath(new URL('../../tools/cli.js', import.meta.url));
const CAPACITY = '1000000000000';
const ANSWER_MS_MAX = 60_000;
/** Channels, and the claims that may be on their way at once. */
export const SIZES = [
  { channels: 1_000, window: 1_024 },
  { channels: 10_000, window: 4_096 },
] as const;

/** Two cores that this process may use, as taskset names them; undefined where there are no two, or no taskset. */
function cores(): [string, string] | undefined {
  try {
    const list = /^Cpus_allowed_list:\s+(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]!;
    const all = list.split(',').flatMap((part) => {
      const [first, last = first] = part.split('-').map(Number);
      return Array.from({ length: last! - first! + 1 }, (_, index) => String(first! + index));
    });
    return all.length < 2 ? undefined : [all[0]!, all[1]!];
  } catch {
    return undefined;
  }
}

function pinned(core: string | undefined, ...command: string[]): string[] {
  return core === undefined ? command : ['taskset', '-c', core, ...command];
}

async function paid(work: Work, core: string | undefined): Promise<Paid> {
  const [execPath = '', ...args] = pinned(core, process.execPath);
  const child = endsWithBench(fork(PAYING, [], { execPath, execArgv: args }));
  const answer = new Promise<Paid>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Paid));
    child.once('exit', (code) => reject(new Error(`expected the payer to answer, got exit code ${code}`)));
  });
  child.send(work);
  return await within(answer, ANSWER_MS_MAX, 'the payer to end');
}

/** The figures of one size. Throws where a claim failed, or an acknowledged drop is not committed. */
export async function measurePayer(
  folder: string,
  { channels, window }: (typeof SIZES)[number],
  { quick, note }: BenchContext,
): Promise<Figures> {
  const [payerCore, nodeCore] = cores() ?? [undefined, undefined];
  if (payerCore === undefined) note('ABSENT: no two cores and taskset: payer and node are not held on cores');
  const program = {
    node: [...pinned(nodeCore, process.execPath, CLI, 'node'), '--lanes', '1'],
    load: [],
    options: {},
  };
  const privateKey = randomBytes(32);
  const publicKey = Buffer.from(new Secp256k1Signer(privateKey).publicKey).toString('hex').toUpperCase();
  const ledgerChannelIds = Array.from({ length: channels }, () => randomBytes(32).toString('hex').toUpperCase());
  const openings = ledgerChannelIds.map((ledgerChannelId) => ({ ledgerChannelId, publicKey, capacity: CAPACITY }));
  const data = join(folder, 'node');
  const figures = await NodeUnderTest.run(
    data,
    [],
    async (node) => {
      const { opened } = await node.admin.importChannels(openings, () => {});
      assert(opened === channels, 'the node opens all channels');
      const work = {
        to: `udp://${node.udp.host}:${node.udp.port}`,
        privateKey: privateKey.toString('hex'),
        ledgerChannelIds,
        window,
        warmMs: quick ? 1_500 : 3_000,
        measuredMs: quick ? 2_000 : 8_000,
      };
      const [before, nodeBefore] = [await node.stats(), processorSeconds(node.pid)];
      const done = await paid(work, payerCore);
      const nodeSeconds = processorSeconds(node.pid) - nodeBefore;
      const { verified, committed } = difference(before, await node.stats());
      let drops = 0n;
      for await (const row of node.admin.channels()) drops += BigInt(row.committed);
      assert(done.failed === 0 && drops === BigInt(done.acknowledgedDrops), 'what is acknowledged is committed');
      note(
        `${channels} channels, window ${window}: ${drops} drops acknowledged and committed; ${verified} claims verified, ${committed} committed; the node took ${nodeSeconds.toFixed(1)} s of its core; ${done.claimsPerDatagram.toFixed(1)} claims a datagram, ${done.batch.toFixed(0)} a call of the signer, ${done.retransmits} sent again, p50 ${done.p50Ms.toFixed(1)} ms, p99 ${done.p99Ms.toFixed(1)} ms`,
      );
      return {
        [`sign.payer.perSecond.${channels}`]: done.claims / done.seconds,
        [`sign.payer.perCoreSecond.${channels}`]: done.claims / done.processorSeconds,
        [`sign.payer.claimUs.${channels}`]: (1e6 * done.processorSeconds) / done.claims,
        [`sign.payer.signingUs.${channels}`]: (1e6 * done.signingSeconds) / done.claims,
      };
    },
    program,
  );
  rmSync(data, { recursive: true, force: true });
  return figures;
}
