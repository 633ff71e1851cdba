/**
 * What a soaked node bears: payers over UDP and TCP that end, are killed and come again, connections that come and go, and an
 * operator who asks, lists, opens, closes and removes. Every loop goes on until it is stopped. Main thread; payers are
 * processes of their own.
 */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseHostPort } from '../../src/host-port.ts';
import { type Random, random } from '../support/random.ts';
import { CLI, type SoakedNode } from './node.ts';

export interface PressureCounts {
  payers: number;
  payersKilled: number;
  claimsAcknowledged: number;
  connections: number;
  adminCalls: number;
  /** What should not happen, in words. */
  faults: string[];
}

const PAYER_SECONDS_MIN = 5;
const PAYER_SECONDS_SPREAD = 10;
/** Of so many payers one is killed. */
const KILLED_ONE_IN = 4;
/** Payers take their channels from a few seeds, so that there are ever the same: a killed one leaves them at the node. */
const SEEDS = 3;
const FIRST_SECONDS = 2;
const SCHEMES = ['udp', 'tcp'] as const;
type Scheme = (typeof SCHEMES)[number];
const CONNECTIONS = 20;
const CONNECTIONS_MS = 500;
const ADMIN_MS = 250;
/** The generator's point: any key will do for a channel that is never paid on. */
const KEY = '0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798';
const FAULTS_MAX = 20;

export class Pressure {
  readonly counts: PressureCounts = {
    payers: 0,
    payersKilled: 0,
    claimsAcknowledged: 0,
    connections: 0,
    adminCalls: 0,
    faults: [],
  };
  readonly #node: SoakedNode;
  readonly #rate: number;
  #loops: Promise<void>[] = [];
  readonly #killers = new Set<() => void>();
  #isOver = false;

  private constructor(node: SoakedNode, rate: number) {
    this.#node = node;
    this.#rate = rate;
  }

  /** First lets every payer that there will be pay for a moment, so that the node has seen all keys when it is looked at. */
  static async begin(node: SoakedNode, rate: number, seed: number): Promise<Pressure> {
    const pressure = new Pressure(node, rate);
    for (let payer = 0; payer < SEEDS; payer++)
      await Promise.all(SCHEMES.map((scheme) => pressure.#payer(scheme, FIRST_SECONDS, payer, undefined)));
    pressure.#start(seed);
    return pressure;
  }

  #start(seed: number): void {
    this.#loops = [
      this.#payers('udp', random(seed)),
      this.#payers('tcp', random(seed + 1)),
      this.#connections(),
      this.#operator(),
    ];
  }

  async stop(): Promise<PressureCounts> {
    this.#isOver = true;
    for (const kill of this.#killers) kill();
    await Promise.all(this.#loops);
    return this.counts;
  }

  #fault(text: string): void {
    if (this.counts.faults.length < FAULTS_MAX) this.counts.faults.push(text);
  }

  async #payers(scheme: Scheme, draw: Random): Promise<void> {
    while (!this.#isOver) {
      const seconds = PAYER_SECONDS_MIN + draw.below(PAYER_SECONDS_SPREAD);
      const killAfterMs = draw.below(KILLED_ONE_IN) === 0 ? 1_000 + draw.below(seconds * 1_000) : undefined;
      await this.#payer(scheme, seconds, draw.below(SEEDS), killAfterMs);
    }
  }

  async #payer(scheme: Scheme, seconds: number, payer: number, killAfterMs: number | undefined): Promise<void> {
    const { ready, data } = this.#node;
    const child = spawn(
      process.execPath,
      [
        ...[CLI, 'load', '--to', `${scheme}://${ready[scheme]}`, '--http', ready.http],
        ...['--token-file', join(data, 'admin-token'), '--rate', String(this.#rate), '--duration', String(seconds)],
        ...[
          '--warmup',
          '0',
          '--drain',
          '5',
          '--channels',
          '300',
          '--seed',
          String(10 * (SCHEMES.indexOf(scheme) + 1) + payer),
          '--keep-channels',
          '--json',
        ],
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    this.counts.payers++;
    let isKilled = false;
    const kill = () => {
      isKilled = true;
      child.kill('SIGKILL');
    };
    this.#killers.add(kill);
    const timer = killAfterMs === undefined ? undefined : setTimeout(kill, killAfterMs);
    let printed = '';
    child.stdout.on('data', (chunk) => {
      printed += String(chunk);
    });
    await new Promise((done) => child.once('close', done));
    clearTimeout(timer);
    this.#killers.delete(kill);
    if (isKilled) this.counts.payersKilled++;
    else this.#account(scheme, printed.trim().split('\n').at(-1) ?? '');
  }

  /** What was acknowledged has to be there. How fast it was is for the samples to say. */
  #account(scheme: string, line: string): void {
    try {
      const { steps, reconciliation } = JSON.parse(line) as {
        steps: { acked: number }[];
        reconciliation: { short: number } | null;
      };
      this.counts.claimsAcknowledged += steps.reduce((sum, { acked }) => sum + acked, 0);
      if (reconciliation?.short !== 0)
        this.#fault(`${scheme} payer: ${reconciliation?.short} channels short of what was acknowledged`);
    } catch {
      this.#fault(`${scheme} payer: expected a result, got ${line.slice(0, 200)}`);
    }
  }

  async #connections(): Promise<void> {
    const address = parseHostPort(this.#node.ready.tcp)!;
    while (!this.#isOver) {
      const sockets = Array.from({ length: CONNECTIONS }, () => connect(address).on('error', () => {}));
      this.counts.connections += sockets.length;
      await sleep(CONNECTIONS_MS);
      for (const [index, socket] of sockets.entries()) index % 2 === 0 ? socket.destroy() : socket.resetAndDestroy();
    }
  }

  async #operator(): Promise<void> {
    const { admin } = this.#node;
    for (let round = 0; !this.#isOver; round++) {
      try {
        await admin.stats();
        const ledgerChannelId = (0xb000_0000 + (round % 1_000)).toString(16).padEnd(64, '0').toUpperCase();
        const { channelId } = await admin.openChannel({ ledgerChannelId, publicKey: KEY, capacity: '1000' });
        await admin.largestChannels(10);
        await admin.closeChannel(String(channelId));
        await admin.removeChannels([String(channelId)], true);
        this.counts.adminCalls += 5;
      } catch (error) {
        if (!this.#isOver) this.#fault(`operator: ${(error as Error).message}`);
      }
      await sleep(ADMIN_MS);
    }
  }
}
