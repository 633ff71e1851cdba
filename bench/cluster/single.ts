/**
 * One claim at a time at a node whose store is PostgreSQL, in turns with what it must take at least: one committed 96-byte
 * append under a fence, through the same class that nodes use. Main thread of the bench; the node is a process of its own.
 */
import { ACK_BYTES, CLAIM_BYTES } from '../../protocol/layout.ts';
import { assert } from '../../src/errors.ts';
import { RECORD_BYTES } from '../../src/journal/record.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { openLoadChannels } from '../../src/load/node-side.ts';
import type { ClaimDatabase, Fence } from '../../src/store/claim-database.ts';
import { openDatabase } from '../../src/store/open-database.ts';
import type { Figures } from '../harness.ts';
import { type NodeUnderTest, within } from '../node-under-test.ts';
import { difference } from '../path/load.ts';
import { signAhead } from '../pool/signed-ahead.ts';
import { OneAtATime } from '../transport/one.ts';

const SEED = 11;
const WARM = 20;
const ROUNDS = 5;
const ANSWER_MS_MAX = 60_000;
/** Records of an append whose cost for this thread is measured: what two lanes gather under load. */
const GROUP_RECORDS = 1_024;

/** Appends as a lane makes them, one after the other. */
class Appends {
  readonly #database: ClaimDatabase;
  readonly #fence: Fence;
  #group = 0;

  private constructor(database: ClaimDatabase, fence: Fence) {
    this.#database = database;
    this.#fence = fence;
  }

  /** Enters under a name of its own, after the node, which has all shards. */
  static async open(url: string): Promise<Appends> {
    const database = await openDatabase({ url, passwordFile: undefined, mayBeUnreplicated: false, waitMs: 10_000 });
    return new Appends(database, await database.enter('bench'));
  }

  /** @returns milliseconds of each append */
  async take(count: number, records: number): Promise<number[]> {
    const bytes = new Uint8Array(records * RECORD_BYTES);
    crypto.getRandomValues(bytes.subarray(0, 65_536));
    const times: number[] = [];
    while (times.length < count) {
      const begin = performance.now();
      await this.#database.append(this.#fence, 0, ++this.#group, bytes);
      times.push(performance.now() - begin);
    }
    return times;
  }

  async close(): Promise<void> {
    await this.#database.dropGroups(this.#fence, [this.#group + 1]);
    await this.#database.leave(this.#fence);
    await this.#database.close();
  }
}

export async function measureSingle(node: NodeUnderTest, url: string, perRound: number): Promise<Figures> {
  const count = WARM + ROUNDS * perRound;
  const channels = LoadChannels.derive(SEED, 1, 1);
  const claims = signAhead(SEED, channels, count);
  assert(claims.length === count * CLAIM_BYTES && ACK_BYTES > 0, 'claims are signed before the clock runs');
  await openLoadChannels(node.admin, channels, () => {});
  const before = await node.stats();
  const payer = await OneAtATime.open('udp', node.udp);
  const appends = await Appends.open(url);
  const inserts: number[] = [];
  let next = 0;
  const claim = (length: number, isMeasured: boolean) => {
    const first = next;
    next += length;
    return within(payer.send(claims, first, next, isMeasured), ANSWER_MS_MAX, `${length} claims one at a time`);
  };
  try {
    await claim(WARM, false);
    await appends.take(WARM, 1);
    for (let round = 0; round < ROUNDS; round++) {
      await claim(perRound, true);
      inserts.push(...(await appends.take(perRound, 1)));
    }
    const { verified, committed } = difference(before, await node.stats());
    assert(verified === count && committed === count, `each of ${count} claims was verified, got ${verified}`);
    await appends.take(WARM, GROUP_RECORDS);
    const used = process.cpuUsage();
    const groups = ROUNDS * perRound;
    await appends.take(groups, GROUP_RECORDS);
    const { user, system } = process.cpuUsage(used);
    const insertMs = middle(inserts);
    return {
      'cluster.singleClaimMs': payer.p50Us / 1_000,
      'cluster.insertMs': insertMs,
      'cluster.singleClaimVsInsert': payer.p50Us / 1_000 / insertMs,
      'cluster.appendThreadUs': (user + system) / groups,
    };
  } finally {
    payer.close();
    await appends.close();
  }
}

/** The lower median, as in the harness. */
export function middle(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[(values.length - 1) >> 1]!;
}
