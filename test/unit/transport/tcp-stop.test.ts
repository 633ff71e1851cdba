/** A listener that has stopped receiving takes in nothing more, whatever a connection was waiting for. */
import { afterEach, expect, test } from 'vitest';
import { CONTROL_PER_SECOND_MAX } from '../../../protocol/control.ts';
import { encodeControl } from '../../../protocol/control-codec.ts';
import { bareClaim, framed, TcpPeer, TcpRig, until } from '../../support/tcp.ts';

const open: { rigs: TcpRig[]; peers: TcpPeer[] } = { rigs: [], peers: [] };
afterEach(async () => {
  for (const peer of open.peers.splice(0)) peer.close();
  for (const rig of open.rigs.splice(0)) await rig.transport.close();
});

test('a connection held over its rate of control messages stays so once the listener has stopped receiving', async () => {
  // Ticks are 25 ms apart; the rate begins anew each second.
  const rig = await TcpRig.start({ limits: { helloMsMax: 100 } });
  open.rigs.push(rig);
  const peer = await TcpPeer.to(rig.port);
  open.peers.push(peer);
  const hello = (id: number) => framed(encodeControl({ type: 'hello', id, client: 'test', versions: [1] }));
  // In one write: spread over two seconds they would not be too many.
  peer.write(Buffer.concat(Array.from({ length: CONTROL_PER_SECOND_MAX + 2 }, (_, index) => hello(index + 1))));
  await until(() => rig.counter('tcp.controlHeld') > 0);
  rig.transport.stopReceiving();
  // A turn that was asked for before is still taken.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const { turns } = rig;
  peer.write(framed(bareClaim(1n, 1)));
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect({ claims: rig.claims, turns: rig.turns - turns, cut: rig.counter('tcp.cutLength') }).toEqual({
    claims: 0,
    turns: 0,
    cut: 0,
  });
});
