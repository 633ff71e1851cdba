/**
 * A real Prometheus scrapes a node under load, and each alert of deploy/alerts.yml is fired by a test that causes it and reaches a
 * real Alertmanager. One node, one Prometheus, one Alertmanager for all of it.
 *
 * Where a machine would have to be brought down for a condition (full memory, a full disk, a crash loop) or another program would
 * be needed (the gateway's upstream, a database with its standbys), a small exporter in this process tells it: RECORDED lists these. All others are real: forged
 * claims, garbage, a disk that hangs, a ledger that stands still, a full table, a channel that ends soon, a node that is not there.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLAIM_SIGNATURE } from '../../protocol/layout.ts';
import { parseHostPort } from '../../src/host-port.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { getJson, postChannels, type ReadyLine, temporaryFolders } from '../support/node-process.ts';
import { hasPrograms } from '../support/prometheus.ts';
import { Monitoring, nameOf } from '../support/prometheus-server.ts';
import { openingJson, signedClaim } from '../support/wire.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const rules = readFileSync(join(ROOT, 'deploy/alerts.yml'), 'utf8');
/** `ALERTNAME severity` of each rule. */
const shipped = [...rules.matchAll(/- alert: (\w+)[\s\S]*?severity: (\w+)/g)].map(
  ([, name, severity]) => `${name} ${severity}`,
);
const both = (...names: string[]) => names.flatMap((name) => [`${name} warning`, `${name} critical`]);

const RECORDED = [
  ...both('ClaimwireMemory', 'ClaimwireDisk', 'ClaimwireDescriptors', 'ClaimwireMainThread', 'ClaimwireRestarting'),
  ...both('ClaimwireAcksDropped', 'ClaimwireKeyCache', 'ClaimwireConnectionsRefused', 'ClaimwireGatewayFailing'),
  ...both(
    'ClaimwireDatabaseSilent',
    'ClaimwireNoSynchronousStandby',
    'ClaimwireReplicationLag',
    'ClaimwireAppendsRetried',
  ),
  ...both('ClaimwireTakenOver', 'ClaimwireMemberSilent', 'ClaimwireShardsNotServed', 'ClaimwireShardsUneven'),
  'ClaimwireChannelsStale critical',
];
/** By what was done to the node before. */
const REAL = {
  'a target that is not there': ['ClaimwireDown critical'],
  'forged claims, garbage, an old ledger, a full table, money in a channel that ends soon': [
    ...both('ClaimwireBadSignatures', 'ClaimwireDatagramsDropped', 'ClaimwireLedgerStale', 'ClaimwireChannels'),
    ...both('ClaimwireExposureEnding'),
  ],
  'a disk that hangs under load': [
    ...both('ClaimwireNotReady', 'ClaimwireRingFilling', 'ClaimwireOverloaded'),
    'ClaimwireStalled critical',
  ],
  'a disk whose syncs take more than a second': both('ClaimwireAckSlow', 'ClaimwireSyncSlow'),
};

/** The text of the exporter: as the exposition has it, with counters that move by the second. */
function recorded(): string {
  const rate = (perSecond: number) => Math.round((Date.now() / 1_000) * perSecond);
  const lines = [
    'claimwire_memory_used_bytes 96',
    'claimwire_memory_limit_bytes 100',
    'claimwire_disk_free_bytes 4',
    'claimwire_disk_size_bytes 100',
    'process_open_fds 96',
    'process_max_fds 100',
    'nodejs_eventloop_lag_p99_seconds 2',
    `process_start_time_seconds ${Date.now()}`,
    `claimwire_acks_dropped_total{reason="sendFailed"} ${rate(2_000)}`,
    `claimwire_key_cache_misses_total ${rate(300)}`,
    `claimwire_key_cache_hits_total{table="small"} ${rate(100)}`,
    `claimwire_key_cache_evictions_total ${rate(100)}`,
    `claimwire_tcp_refused_total{reason="refusedFull"} ${rate(100)}`,
    `claimwire_gateway_requests_total ${rate(100)}`,
    `claimwire_gateway_answers_total{outcome="upstreamFailed"} ${rate(90)}`,
    'claimwire_ledger_stale_channels 2',
    'claimwire_store_silent_seconds 40',
    'claimwire_store_standbys{kind="synchronous"} 0',
    'claimwire_store_standbys{kind="other"} 1',
    'claimwire_store_replication_lag_seconds{standby="s1"} 12',
    'claimwire_store_replication_lag_bytes{standby="s1"} 4096',
    `claimwire_store_appends_retried_total{reason="unknown"} ${rate(10)}`,
    `claimwire_cluster_takeovers_total ${rate(2)}`,
    `claimwire_cluster_epoch ${rate(2)}`,
    'claimwire_cluster_members_silent 1',
    'claimwire_cluster_shards_served 800',
    'claimwire_cluster_shards_wanted 342',
  ];
  return `${lines.join('\n')}\n`;
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const isTried = hasPrograms('prometheus', 'prometheus-alertmanager');

test('each alert is caused here, by what is real or by what is recorded', () => {
  expect([...RECORDED, ...Object.values(REAL).flat()].sort()).toEqual([...shipped].sort());
});

describe.runIf(isTried)('a real Prometheus', () => {
  const folders = temporaryFolders();
  const disk = new FaultyDisk();
  const hooked: string[] = [];
  const exporter = createServer((_request, response) => {
    response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    response.end(recorded());
  });
  const hook = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += String(part);
    });
    request.on('end', () => {
      hooked.push(...(JSON.parse(body) as { alerts: { labels: Record<string, string> }[] }).alerts.map(nameOf));
      response.end();
    });
  });
  const socket = dgram.createSocket('udp4');
  let child: ChildProcess;
  let monitoring: Monitoring;
  let ready: ReadyLine;
  let target = '';

  beforeAll(async () => {
    const data = folders('alerts');
    child = spawn(process.execPath, [join(ROOT, 'test/support/exposed-node.mjs'), data], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...disk.env, CLAIMWIRE_WARM_UP: 'off' },
    });
    let log = '';
    child.stderr!.on('data', (text) => {
      log += String(text);
    });
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`the node ended: ${log}`)));
    ended.catch(() => {});
    const [line] = await Promise.race([once(child.stdout!, 'data'), ended]);
    ready = JSON.parse(String(line)) as ReadyLine;
    target = ready.http;
    const gone = await listening(
      createServer().on('listening', function (this: Server) {
        this.unref();
      }),
    );
    const targets = [target, await listening(exporter), gone.replace(/:\d+$/, ':1')];
    monitoring = await Monitoring.start(folders('monitoring'), targets, `http://${await listening(hook)}`);
    const soon = Math.floor(Date.now() / 1_000) + 1_800;
    const channels = Array.from({ length: 10 }, (_, index) =>
      openingJson(BigInt(index + 1), index === 0 ? { expiresAt: soon } : {}),
    );
    expect((await postChannels(ready, data, channels)).status).toBe(200);
  });
  afterAll(async () => {
    socket.close();
    // A node that still writes would make its folder come back.
    const ended = child === undefined || child.exitCode !== null ? undefined : once(child, 'exit');
    child?.kill('SIGKILL');
    await ended;
    await monitoring?.stop();
    exporter.close();
    hook.close();
    disk.remove();
  });

  const send = (bytes: Uint8Array) => {
    const { host, port } = parseHostPort(ready.udp)!;
    socket.send(bytes, port, host);
  };

  /** Does something again and again until all of these fire, in Prometheus and as Alertmanager knows them. */
  async function untilFiring(names: readonly string[], again: () => void): Promise<void> {
    const timer = setInterval(again, 20);
    const seen = new Set<string>();
    const told = new Set<string>();
    try {
      await expect
        .poll(
          async () => {
            for (const alert of await monitoring.firing()) seen.add(nameOf(alert));
            for (const alert of await monitoring.received()) told.add(nameOf(alert));
            return names.filter((name) => !seen.has(name) || !told.has(name));
          },
          { timeout: 40_000, interval: 400, message: monitoring.log },
        )
        .toEqual([]);
    } finally {
      clearInterval(timer);
    }
  }

  test('forged claims, garbage, an old ledger, a full table, money in a channel that ends soon; what is recorded; who is not there', {
    timeout: 60_000,
  }, async () => {
    send(signedClaim(1n, 20_000n));
    const template = Buffer.from(signedClaim(2n, 5n));
    let nonce = 0;
    // No two are the same: a copy of a claim in flight is not verified.
    const forged = () => {
      const claim = Buffer.from(template);
      claim.writeUInt32BE(nonce++, CLAIM_SIGNATURE);
      return claim;
    };
    const now = Object.values(REAL).slice(0, 2).flat();
    await untilFiring([...RECORDED, ...now], () => {
      for (let packet = 0; packet < 30; packet++) {
        send(Buffer.concat(Array.from({ length: 10 }, forged)));
        send(Buffer.of(0xff, 0xff));
      }
    });
    const [node] = (await monitoring.targets()).filter(({ scrapeUrl }) => scrapeUrl.includes(target));
    expect(node).toMatchObject({ health: 'up', lastError: '' });
  });

  test('a disk that hangs under load', { timeout: 60_000 }, async () => {
    const claims = Array.from({ length: 600 }, (_, index) => signedClaim(BigInt((index % 9) + 2), BigInt(10 + index)));
    // Strangers fill half of a ring; known payers fill all of it.
    const committed = async () =>
      (await getJson<{ counters: { committed: number } }>(ready, '/stats')).counters.committed;
    const before = await committed();
    for (const claim of claims.slice(0, 9)) send(claim);
    await expect.poll(committed).toBe(before + 9);
    disk.set('hang', 'journal');
    let next = 0;
    await untilFiring(REAL['a disk that hangs under load'], () => send(claims[next++ % claims.length]!));
  });

  test('a disk whose syncs take more than a second: so do claims', {
    timeout: 60_000,
  }, async () => {
    const claims = Array.from({ length: 300 }, (_, index) => signedClaim(2n, BigInt(100_000 + index)));
    disk.set('late', 'journal');
    let next = 0;
    await untilFiring(REAL['a disk whose syncs take more than a second'], () => send(claims[next++ % claims.length]!));
  });

  test('Alertmanager tells its receiver, by the routes that are shipped', async () => {
    await expect.poll(() => hooked, { timeout: 20_000 }).toContain('ClaimwireDown critical');
  });
});
