/** GET /channels/ID/proof: the proof of a channel's newest leaf of a signed root, for holders of a token that may see signatures. Main thread. */
import { leafProofJson } from '../channel/leaf-proof.ts';
import { expectChannel } from '../control/access.ts';
import type { NodeControl } from '../control/node-control.ts';
import { findChannel } from './channels.ts';
import { HttpRefusal, sendJson } from './message.ts';
import type { Route } from './route.ts';

export function proofRoutes(control: NodeControl): Route[] {
  return [
    {
      method: 'GET',
      path: '/channels/{id}/proof',
      scope: 'read',
      takesBody: false,
      answer: ({ id, access, response }) => {
        const channel = findChannel(control, id);
        expectChannel(access!, channel.channelId);
        const proof = control.leafProof?.(channel);
        if (proof === undefined)
          throw new HttpRefusal(404, `channel ${id}: expected one that a leaf of a signed root has paid, got none`);
        sendJson(response, 200, leafProofJson(channel.channelId, proof));
      },
    },
  ];
}
