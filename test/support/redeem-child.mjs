/**
 * A redeemer over side tables in a folder, which the test kills (integration/redeem-crash.test.ts). The ledger, the wallet and
 * the clock are the parent's: each call of a port is a message to it and waits for the answer, and a commit of the side tables
 * is announced before it begins and after it is durable. So the parent can kill it at each step. A process of its own.
 */
import { SHARDS } from '../../dist/protocol/shard.js';
import { Redeemer } from '../../dist/src/ledger/redeemer.js';
import { checkSideTables } from '../../dist/src/registry/side-check.js';
import { SideStore } from '../../dist/src/registry/side-store.js';
import { DatabaseSides } from '../../dist/src/store/database-sides.js';
import { HeldFence } from '../../dist/src/store/held-fence.js';
import { PostgresDatabase } from '../../dist/src/store/postgres/database.js';

const ASKED = ['networkId', 'channel', 'account', 'fee', 'submit', 'transaction', 'knowsLedgers'];

const waiting = new Map();
const listeners = new Set();
let calls = 0;
let wall = 0;
let validated;
let row;
let redeemer;

/** A call of the parent; its signal stays here. */
function ask(name, ...args) {
  return new Promise((resolve) => {
    waiting.set(++calls, resolve);
    process.send({ call: calls, name, args: args.filter((arg) => !(arg instanceof AbortSignal)) });
  });
}

const connection = {
  ...Object.fromEntries(ASKED.map((name) => [name, (...args) => ask(name, ...args)])),
  url: 'parent:1',
  get validated() {
    return validated;
  },
  onLedger(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
const control = {
  channel: () => row,
  closeChannel: async () => {
    row = await ask('closeChannel');
    return row;
  },
};

async function openStore({ folder, store }) {
  if (store === undefined) {
    checkSideTables(folder);
    return SideStore.open(folder);
  }
  const database = await PostgresDatabase.open(store);
  const fence = HeldFence.of(await database.enter('one'));
  const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
  return DatabaseSides.load(database, fence, shards);
}

async function start(message) {
  const { address } = message;
  const store = await openStore(message);
  const tables = {
    isSharded: store.isSharded ?? false,
    get: (...args) => store.get(...args),
    entries: (...args) => store.entries(...args),
    commit: async (changes) => {
      await ask('commit');
      await store.commit(changes);
      await ask('committed');
    },
  };
  return new Redeemer({
    control,
    connection,
    tables,
    wallet: { address, sign: (transaction) => ask('sign', transaction) },
    // The parent tells of each ledger, so that nothing waits for time.
    clock: { wall: () => wall, monotonic: () => wall, every: () => () => {} },
    logger: { info: () => {}, warn: () => {}, error: () => {} },
    feeMaxDrops: 1_000n,
  });
}

process.on('message', async (message) => {
  if (message.call !== undefined) return waiting.get(message.call)(message.result);
  if (message.now !== undefined) ({ now: wall, validated } = message);
  for (const listener of [...listeners]) listener(validated);
  if (message.redeem === undefined) return;
  const isFirst = redeemer === undefined;
  row = message.redeem;
  redeemer ??= await start(message);
  if (isFirst) redeemer.resume();
  redeemer
    .redeem(row.channelId, { close: message.close })
    .then(({ outcome, reason }) => process.send({ outcome, reason, history: redeemer.history(99) }));
});
process.on('disconnect', () => process.exit());
