/**
 * Hostile datagrams of every kind by the hundred thousand, and by the million with `make hostile`: the node stays up, and
 * every datagram and every claim in it is counted under a reason, the kernel's own drops included. `claimwire load --attack
 * mixed` sends them one by one, since of a train that it drops the kernel counts one.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { STATUS } from '../../protocol/layout.ts';
import { DATAGRAM_KINDS } from '../../src/load/attack/kinds.ts';
import type { AttackResult } from '../../src/load/attack/run.ts';
import { contradictions, sumsOf } from '../../src/load/attack/sums.ts';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import {
  adminFlags,
  claimwire,
  getJson,
  NodeProcess,
  openChannels,
  type ReadyLine,
  temporaryFolders,
} from '../support/node-process.ts';
import { openingJson, signedClaim, WirePeer } from '../support/wire.ts';

const DATAGRAMS = Number(process.env.HOSTILE_DATAGRAMS ?? 25_000);
/** A second; at most the node loses most of them to the kernel, at a tenth it takes them all in. */
const RATE = process.env.HOSTILE_RATE || 'max';
const SEED = Number(process.env.SEED ?? 1);
/** At the slowest that a busy machine sends. */
const SECONDS_MAX = Math.max(60, RATE === 'max' ? DATAGRAMS / 2_000 : (2 * DATAGRAMS) / Number(RATE));
const LAYOUTS = [
  ['--layout', 'lanes', '--lanes', '2'],
  ['--layout', 'pipeline', '--sockets', 'native'],
];
const folder = temporaryFolders();

/** Datagrams for which the system had no room, of all sockets on the port: the last column of /proc/net/udp. */
function systemDrops({ udp }: ReadyLine): number {
  const port = Number(udp.split(':').at(-1)).toString(16).toUpperCase().padStart(4, '0');
  return readFileSync('/proc/net/udp', 'utf8')
    .split('\n')
    .filter((line) => new RegExp(`^ *\\d+: [0-9A-F]{8}:${port} `).test(line))
    .reduce((sum, line) => sum + Number(line.trim().split(/\s+/).at(-1)), 0);
}

test.skipIf(nativeUdpFault() !== undefined).each(LAYOUTS)(
  `${DATAGRAMS} hostile datagrams of every kind: no crash, and each is counted under a reason (%s %s %s %s)`,
  { timeout: (SECONDS_MAX + 60) * 1_000 },
  async (...flags) => {
    const data = folder('hostile');
    const node = new NodeProcess(data, flags, undefined, { env: { CLAIMWIRE_WARM_UP: 'off' } });
    const ready = await node.ready;
    await openChannels(ready, data, [openingJson(1n)]);
    const { code, stdout, stderr } = await claimwire(
      ...['load', '--to', `udp://${ready.udp}`, ...adminFlags(ready, data), '--attack', 'mixed'],
      ...['--datagrams', String(DATAGRAMS), '--duration', String(SECONDS_MAX), '--seed', String(SEED)],
      ...['--channels', '200', '--rate', RATE, '--json'],
    );
    expect(code, stderr).toBe(0);
    const { udp: sent, counted, sums, isUp } = JSON.parse(stdout) as AttackResult;
    if (DATAGRAMS > 1e6) console.log(JSON.stringify({ layout: flags[1], sent, counted, sums }, undefined, 2));
    expect(isUp).toBe(true);
    expect(sent!.datagrams).toBe(DATAGRAMS);
    expect(Object.keys(sent!.byKind).sort()).toEqual([...DATAGRAM_KINDS].sort());
    expect(contradictions(sent!, sums!)).toEqual([]);
    expect(sums!.claims.by.committed).toBeGreaterThan(0);
    for (const reason of ['unknownChannel', 'badSignature'])
      expect(sums!.claims.by[`refused.${reason}`], reason).toBeGreaterThan(0);
    // The system's own count, and not only what the node makes of it.
    expect(systemDrops(ready)).toBe(sums!.datagrams.kernel);
    expect(contradictions(sent!, sumsOf(sent!, counted!, systemDrops(ready)))).toEqual([]);

    const peer = await WirePeer.to(ready.udp);
    expect((await peer.ask(signedClaim(1n, 100n))).status).toBe(STATUS.COMMITTED);
    peer.close();
    expect((await getJson<{ channelId: string }[]>(ready, '/channels')).length).toBe(1);
    expect(await node.stop()).toMatchObject({ event: 'stopped' });
  },
);
