/** GET and POST /cluster: a node's part in its cluster, and what its operator asks of it. Main thread. */
import { SHARDS } from '../../protocol/shard.ts';
import { got, objectWith } from '../channel/parse.ts';
import type { ClusterControl } from '../control/cluster-control.ts';
import { ClaimwireError } from '../errors.ts';
import { HttpRefusal, readJson, sendJson } from './message.ts';
import type { Call, Route } from './route.ts';

const ACTIONS = ['leave', 'join', 'rebalance', 'move'] as const;
type ClusterAction = (typeof ACTIONS)[number];

/** What POST /cluster takes; `move` has shards and the node that they go to. */
export interface ClusterRequestJson {
  action: ClusterAction;
  shards?: readonly number[];
  to?: string;
}

export function clusterRoutes(cluster: ClusterControl | undefined): Route[] {
  return [
    {
      method: 'GET',
      path: '/cluster',
      scope: undefined,
      takesBody: false,
      answer: ({ response }) => sendJson(response, 200, expectCluster(cluster).figures),
    },
    { method: 'POST', path: '/cluster', scope: 'admin', takesBody: true, answer: (call) => act(call, cluster) },
  ];
}

/** It is begun when it is answered: shards move in batches, one after the other. */
async function act({ request, response }: Call, cluster: ClusterControl | undefined): Promise<void> {
  const body = await readJson(request);
  const member = expectCluster(cluster);
  const { action, shards, to } = objectWith(body, ['action', 'shards', 'to'], 'cluster');
  const known = ACTIONS.find((name) => name === action);
  if (known === undefined)
    throw new ClaimwireError('INPUT_INVALID', `action: expected ${ACTIONS.join(', ')}, got ${got(action)}`);
  if (known !== 'move') member[known]();
  else if (!Array.isArray(shards) || shards.length === 0 || shards.length > SHARDS || !shards.every(isShard))
    throw new ClaimwireError('INPUT_INVALID', `shards: expected a list of 0..${SHARDS - 1}, got ${got(shards)}`);
  else if (typeof to !== 'string') throw new ClaimwireError('INPUT_INVALID', `to: expected a node, got ${got(to)}`);
  else member.move(shards, to);
  sendJson(response, 202, member.figures);
}

function isShard(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < SHARDS;
}

function expectCluster(cluster: ClusterControl | undefined): ClusterControl {
  if (cluster !== undefined) return cluster;
  throw new HttpRefusal(404, 'cluster: expected a node started with --cluster, got one without');
}
