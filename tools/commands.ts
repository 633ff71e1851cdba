/** The commands by name. Each is loaded when it runs, so that `claimwire --help` maps no database. */
import type { CommandGroup, RunnableCommand } from './command.ts';

interface Listed {
  summary: string;
  /** A lasting command does more than print: it goes on without a reader of its output. */
  isLasting?: true;
  load(): Promise<{ command: RunnableCommand | CommandGroup }>;
}

export const COMMANDS: Readonly<Record<string, Listed>> = {
  node: { summary: 'runs a node', isLasting: true, load: () => import('./node.ts') },
  gateway: {
    summary: 'a node, and a proxy that puts a price before a web service',
    isLasting: true,
    load: () => import('./gateway.ts'),
  },
  demo: {
    summary: 'a node, a payer and full load on this machine, for a look',
    isLasting: true,
    load: () => import('./demo.ts'),
  },
  keygen: { summary: 'makes a key for payment channels', load: () => import('./keygen.ts') },
  cluster: {
    summary: 'lists the nodes that share a store, and moves shards',
    load: () => import('./cluster.ts'),
  },
  channel: {
    summary: 'opens, imports, lists, shows, updates, closes, removes channels',
    load: () => import('./channel.ts'),
  },
  pay: { summary: 'sends one signed claim and prints its ack', load: () => import('./pay.ts') },
  receipt: {
    summary: 'fetches what a node signs of a committed amount, and checks it',
    load: () => import('./receipt.ts'),
  },
  charge: { summary: 'charges drops on a channel, or refunds them', load: () => import('./charge.ts') },
  events: { summary: 'prints committed amounts as they grow', load: () => import('./events.ts') },
  token: { summary: 'makes, lists, revokes tokens for services', load: () => import('./token.ts') },
  load: {
    summary: 'loads a node with signed claims and measures it',
    isLasting: true,
    load: () => import('./load.ts'),
  },
  top: { summary: 'shows a running node, live in the terminal', load: () => import('./top.ts') },
  stats: { summary: 'prints counters, rates and latency of a node', load: () => import('./stats.ts') },
  doctor: { summary: 'checks this machine for a node, and says what mends it', load: () => import('./doctor.ts') },
  trace: { summary: "follows one channel's claims through the node", load: () => import('./trace.ts') },
  profile: { summary: 'a CPU profile of a node as a flame graph', load: () => import('./profile.ts') },
  bench: {
    summary: 'measures this machine, part by part, and compares reports',
    isLasting: true,
    load: () => import('./bench.ts'),
  },
  redeem: { summary: 'redeems the best claims on the ledger', load: () => import('./redeem.ts') },
  settle: { summary: 'makes the transactions that redeem the best claims, offline', load: () => import('./settle.ts') },
  prove: {
    summary: 'the proof that a payer has promised an amount by a signed root, and its check',
    load: () => import('./prove.ts'),
  },
  decode: { summary: 'shows the claims and acks in hex or a capture', load: () => import('./decode.ts') },
  journal: { summary: 'verifies a journal', load: () => import('./journal.ts') },
  completion: {
    summary: 'prints what completes commands and options in a shell',
    load: () => import('./completion.ts'),
  },
};
