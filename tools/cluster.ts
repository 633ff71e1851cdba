/**
 * `claimwire cluster …`: who holds which shards, from the database itself, and what a node is asked to do with its own.
 *
 * Main thread of its own process. Status needs no node, so that it tells of a cluster whose nodes are all gone. The others ask
 * the node that gives or takes: it alone may give its shards away, and its admin token says who may ask.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SHARDS } from '../protocol/shard.ts';
import type { ClusterFigures } from '../src/control/cluster-control.ts';
import { AdminClient } from '../src/http/client.ts';
import type { ClusterRequestJson } from '../src/http/cluster.ts';
import type { ClaimDatabase, ClusterState } from '../src/store/claim-database.ts';
import { openDatabase } from '../src/store/open-database.ts';
import { usage } from './args.ts';
import { defineCommand, defineGroup } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { fieldLines, say, writeJson } from './output.ts';

/** Nodes beat four times within it. */
const WATCH_MS = 1_000;
const OPEN_MS = 5_000;
const EXIT_NOTE = 'Exit code: 0 fine, 1 failed, 2 usage.';

interface MemberJson {
  node: string;
  epoch: number;
  /** Whether it beat while the command watched. */
  lives: boolean;
  leaving: boolean;
  shards: number;
  places: readonly string[];
}
export interface StatusJson {
  version: number;
  /** Shards that no node holds, and those whose last claims their holder has still to load from a dead node's groups. */
  unheld: number;
  unfolded: number;
  members: MemberJson[];
}

const status = defineCommand({
  name: 'cluster status',
  summary: 'lists the nodes, and how many shards each holds',
  description: 'lists the nodes, and how many shards each holds. It asks the database, for a second, and no node.',
  options: {
    store: {
      value: 'URL',
      description: 'as the nodes have it: postgres://USER@HOST:PORT,…/NAME',
      required: 'an address',
    },
    'store-password-file': {
      value: 'FILE',
      description: "has the database's password in its first line",
      defaultText: 'PGPASSWORD, or ~/.pgpass',
    },
  },
  examples: [
    ['claimwire cluster status --store postgres://claimwire@db1,db2/claimwire', 'a line for each node'],
    ['claimwire cluster status --store postgres://… --json | jq .unheld', 'shards that nobody serves'],
  ],
  notes: `With --json {version, unheld, unfolded, members: [{node, epoch, lives, leaving, shards, places}]}.

${EXIT_NOTE}`,
  act: async (values) => {
    const passwordFile = values['store-password-file'];
    const database = await openDatabase({ url: values.store, passwordFile, mayBeUnreplicated: true, waitMs: OPEN_MS });
    try {
      const told = await statusOf(database, () => sleep(WATCH_MS));
      if (values.json) writeJson(told);
      else say(statusText(told));
      return 0;
    } finally {
      await database.close();
    }
  },
});

/** @param watched resolves after some beats */
export async function statusOf(
  database: Pick<ClaimDatabase, 'pulse' | 'state'>,
  watched: () => Promise<unknown>,
): Promise<StatusJson> {
  const before = await database.pulse();
  await watched();
  const state: ClusterState = await database.state();
  const held = (name: string | undefined) => state.shards.filter(({ node }) => node === name).length;
  return {
    version: state.version,
    unheld: held(undefined),
    unfolded: state.shards.filter(({ source }) => source !== undefined).length,
    members: state.members.map(({ node, epoch, beats, leaving, places }) => {
      const earlier = before.members.find((member) => member.node === node);
      const lives = earlier === undefined || earlier.epoch !== epoch || beats > earlier.beats;
      return { node, epoch, lives, leaving, shards: held(node), places };
    }),
  };
}

export function statusText({ version, unheld, unfolded, members }: StatusJson): string {
  const rows = members.map(({ node, epoch, lives, leaving, shards, places }) => [
    node,
    lives ? (leaving ? 'leaving' : 'lives') : 'SILENT',
    String(shards),
    String(epoch),
    places.join(' '),
  ]);
  const table = [['NODE', 'STATE', 'SHARDS', 'EPOCH', 'PLACES'], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  const notes = [`map ${version}: ${members.length} nodes, ${SHARDS} shards`];
  if (unheld > 0) notes.push(`${unheld} shards have no node`);
  if (unfolded > 0) notes.push(`${unfolded} are loaded after a takeover`);
  return `${lines.join('\n')}\n${notes.join('; ')}\n`;
}

const leaving = defineCommand({
  name: 'cluster leave',
  summary: 'has a node give its shards to the others, and take none',
  options: NODE_OPTIONS,
  examples: [['claimwire cluster leave --http 127.0.0.1:9394', 'before its machine is worked on']],
  notes: `The node goes on, and answers MOVED. A stop by SIGTERM does the same first.\n\n${EXIT_NOTE}`,
  act: (values) => ask(values, { action: 'leave' }),
});

const joining = defineCommand({
  name: 'cluster join',
  summary: 'has a node that has left take shards again',
  options: NODE_OPTIONS,
  examples: [['claimwire cluster join', 'it gets its part of the shards from the others']],
  notes: `A node that is started with --cluster joins by itself.\n\n${EXIT_NOTE}`,
  act: (values) => ask(values, { action: 'join' }),
});

const rebalancing = defineCommand({
  name: 'cluster rebalance',
  summary: 'has a node give what it holds beyond its part',
  options: NODE_OPTIONS,
  examples: [['claimwire cluster rebalance', 'until each node has its part, to the last shard']],
  notes: `Nodes balance by themselves once one has a tenth more or less than its part. A node gives its own shards alone, so
ask the one that has most.\n\n${EXIT_NOTE}`,
  act: (values) => ask(values, { action: 'rebalance' }),
});

const moving = defineCommand({
  name: 'cluster move',
  summary: 'has a node give some of its shards to another',
  operands: { name: 'SHARDS', count: 'one' },
  options: { to: { value: 'NODE', description: 'the name of the other node', required: 'a name' }, ...NODE_OPTIONS },
  examples: [['claimwire cluster move 7,100-119 --to node-b', 'twenty-one shards']],
  notes: `Shards that the node does not hold stay where they are. Claims of a channel that moves are refused for some 0.2 s.\n\n${EXIT_NOTE}`,
  act: (values, [shards]) => ask(values, { action: 'move', shards: shardsOf(shards!), to: values.to }),
});

/** "7,100-119" */
export function shardsOf(text: string): number[] {
  const shards = text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? [];
    const count = first === undefined ? 0 : Number(last) - Number(first) + 1;
    if (count < 1 || Number(last) >= SHARDS)
      usage(`SHARDS: expected numbers below ${SHARDS} like 7,100-119, got ${JSON.stringify(text)}`);
    return Array.from({ length: count }, (_, index) => Number(first) + index);
  });
  return [...new Set(shards)];
}

async function ask(
  values: Parameters<typeof adminAddress>[0] & { json: boolean },
  request: ClusterRequestJson,
): Promise<number> {
  const figures: ClusterFigures = await AdminClient.open(adminAddress(values)).cluster(request);
  if (values.json) writeJson(figures);
  else {
    const held = Object.entries(figures.held).map(([node, shards]) => `${node} ${shards}`);
    say(fieldLines({ ...figures, held: held.join(', ') }));
  }
  return 0;
}

export const command = defineGroup({
  name: 'cluster',
  summary: 'nodes that share a store: who holds which shards, and moving them',
  commands: [status, leaving, joining, rebalancing, moving],
});
export const { run } = command;
