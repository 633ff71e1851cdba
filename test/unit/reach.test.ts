/**
 * Where each file of src/ is tested. A reader who changes a file should find its tests by its name: a test that mirrors
 * its path, a test that imports it, or the line of the table below that names the tests which go through it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

/** Files that no test imports, by the test that goes through them: parts that only their owner uses. */
const TESTED_THROUGH: Record<string, string[]> = {
  'test/unit/pkcs11/token-key.test.ts': [
    'src/pkcs11/low-s.ts',
    'src/pkcs11/token-errors.ts',
    'src/pkcs11/token-module.ts',
  ],
  'test/integration/roots-kill.test.ts': ['src/node/stopped-proof.ts'],
  'test/integration/pkcs11.test.ts': ['src/ledger/wallet-pkcs11.ts', 'src/pkcs11/open.ts'],
  'test/unit/client/paid-fetch.test.ts': ['src/client/keys/sign-claim.ts'],
  'test/unit/tune/tuner.test.ts': ['src/tune/trial.ts'],
  'test/unit/tune/auto-tune.test.ts': ['src/tune/advice.ts'],
  'test/unit/threads/live-settings.test.ts': ['src/ring/setting-words.ts'],
  'test/unit/ledger/redeemer.test.ts': [
    'src/ledger/fill-in.ts',
    'src/ledger/finality.ts',
    'src/ledger/places.ts',
    'src/ledger/redeem-rules.ts',
    'src/ledger/redemption-ends.ts',
    'src/ledger/redemption-maker.ts',
    'src/ledger/unless-aborted.ts',
  ],
  'test/unit/spans/open-telemetry.test.ts': ['src/gateway/request-span.ts'],
  'test/integration/ledger-redeem.test.ts': ['src/ledger/auto-redeemer.ts', 'src/ledger/redeem-options.ts'],
  'test/unit/path/leaves.test.ts': [
    'src/path/frame-filter.ts',
    'src/path/leaf-intake.ts',
    'src/path/leaf-stage.ts',
    'src/ring/frame-pool.ts',
    'src/verify/frame-judge.ts',
    'src/verify/leaf-backend.ts',
    'src/verify/verified-roots.ts',
  ],
  'test/unit/path/steps.test.ts': [
    'src/path/receive-step.ts',
    'src/path/verify-step.ts',
    'src/path/ack-step.ts',
    'src/path/ack-sender.ts',
    'src/path/status-counters.ts',
    'src/path/stage-clock.ts',
    'src/transport/no-transport.ts',
  ],
  'test/integration/cluster.test.ts': ['src/node/cluster.ts', 'src/node/shards.ts'],
  'test/unit/node/shard-accounts.test.ts': ['src/meter/charge-logs.ts'],
  'test/unit/cluster/membership.test.ts': [
    'src/cluster/cluster-settings.ts',
    'src/store/heartbeat.ts',
    'src/cluster/membership.ts',
    'src/cluster/shard-figures.ts',
    'src/cluster/shard-work.ts',
  ],
  'test/unit/store/memory-database.test.ts': ['src/store/row-locks.ts', 'src/store/side-owner.ts'],
  'test/unit/path/commit-step.test.ts': [
    'src/journal/group-log.ts',
    'src/path/stage-step.ts',
    'src/path/apply-step.ts',
  ],
  'test/unit/store/database-store.test.ts': [
    'src/store/database-rows.ts',
    'src/store/database-sides.ts',
    'src/store/store-watch.ts',
    'src/store/store.ts',
    'src/store/open-database.ts',
  ],
  'test/integration/node.test.ts': [
    'src/node/node.ts',
    'src/node/description.ts',
    'src/node/stop.ts',
    'src/node/threads.ts',
    'src/store/embedded-store.ts',
    'src/store/open-store.ts',
    'src/threads/boot.ts',
    'src/threads/committer.ts',
    'src/threads/verifier.ts',
    'src/threads/topology.ts',
  ],
  'test/unit/path/path-measures.test.ts': ['src/ring/answer-marks.ts', 'src/ring/arrival-marks.ts'],
  'test/integration/meter.test.ts': [
    'src/meter/deferred.ts',
    'src/meter/meter.ts',
    'src/threads/committed-feed.ts',
    'src/transport/local.ts',
    'src/transport/local-calls.ts',
  ],
  'test/hostile/web.test.ts': [
    'src/optional-libraries.ts',
    'src/web/control.ts',
    'src/web/counters.ts',
    'src/web/offers.ts',
    'src/web/peer.ts',
    'src/web/peers.ts',
    'src/web/webrtc.ts',
    'src/web/websocket.ts',
  ],
  'test/integration/web.test.ts': [
    'src/client/links/carrier-webrtc.ts',
    'src/client/links/carrier-websocket.ts',
    'src/client/links/carrier.ts',
    'src/client/links/open-carrier.ts',
    'src/threads/web-process.ts',
    'src/transport/frames-end.ts',
    'src/transport/web.ts',
    'src/web/main.ts',
  ],
  'test/integration/inspect.test.ts': ['src/threads/trace-thread.ts', 'src/threads/tracer.ts'],
  'test/unit/meter/charges.test.ts': [
    'src/meter/abortable.ts',
    'src/meter/account.ts',
    'src/meter/accounts.ts',
    'src/meter/behind-log.ts',
    'src/meter/charge-refusal.ts',
    'src/meter/fingerprint-index.ts',
    'src/meter/reservation.ts',
  ],
  'test/integration/node-process.test.ts': ['src/serve.ts', 'src/log.ts'],
  'test/unit/threads/lane.test.ts': ['src/threads/fence.ts', 'src/threads/sockets.ts', 'src/threads/turn-loop.ts'],
  'test/unit/tools/cli.test.ts': ['src/version.ts', 'src/http/client.ts', 'src/registry/import-worker.ts'],
  'test/unit/pcap.test.ts': ['src/pcap-packet.ts'],
  'test/unit/http/admin.test.ts': [
    'src/channel/json.ts',
    'src/http/channels.ts',
    'src/http/health.ts',
    'src/http/message.ts',
    'src/http/route.ts',
  ],
  'test/unit/http/admin-access.test.ts': ['src/control/access.ts'],
  'test/unit/metrics/exposition.test.ts': [
    'src/metrics/cluster-families.ts',
    'src/metrics/families.ts',
    'src/metrics/family.ts',
    'src/metrics/peer-families.ts',
  ],
  'test/unit/http/metering.test.ts': [
    'src/http/charges.ts',
    'src/http/claims.ts',
    'src/http/holds.ts',
    'src/http/waits.ts',
  ],
  'test/unit/http/events.test.ts': ['src/http/event-stream.ts', 'src/http/events.ts'],
  'test/unit/http/client-metering.test.ts': ['src/http/requests.ts'],
  'test/unit/http/forwarding.test.ts': ['src/http/listen.ts'],
  'test/unit/metrics/sampler.test.ts': ['src/metrics/look.ts', 'src/metrics/seen-since.ts'],
  'test/e2e/page.test.ts': [
    'src/page/app-header.ts',
    'src/page/channel-detail.ts',
    'src/page/channel-list.ts',
    'src/page/chart.ts',
    'src/page/charts.ts',
    'src/page/counters.ts',
    'src/page/dom.ts',
    'src/page/feed.ts',
    'src/page/figures.ts',
    'src/page/main.ts',
    'src/page/panels.ts',
    'src/page/terms.ts',
    'src/page/theme.ts',
    'src/page/token.ts',
  ],
  'test/unit/http/openapi.test.ts': ['src/http/metrics.ts', 'src/http/openapi.ts', 'src/http/receipts.ts'],
  'test/unit/receipts/receipts.test.ts': ['src/receipts/receipt-tree.ts'],
  'test/unit/http/admin-connections.test.ts': [
    'src/http/connection.ts',
    'src/http/connections.ts',
    'src/http/listing.ts',
  ],
  'test/unit/gateway/payments.test.ts': [
    'src/gateway/answers.ts',
    'src/gateway/challenges.ts',
    'src/gateway/counters.ts',
    'src/gateway/recording.ts',
    'src/gateway/refusals.ts',
    'src/gateway/replies.ts',
    'src/gateway/scheme.ts',
    'src/gateway/verdict.ts',
    'src/gateway/voucher-marks.ts',
  ],
  'test/unit/gateway/sessions.test.ts': ['src/gateway/repeat-key.ts', 'src/gateway/signature-check.ts'],
  'test/unit/gateway/gateway.test.ts': ['src/gateway/headers.ts', 'src/gateway/listener.ts', 'src/gateway/upstream.ts'],
  'test/unit/ledger/creator.test.ts': ['src/ledger/creation-journal.ts', 'src/ledger/creation-rules.ts'],
  'test/unit/client/payer.test.ts': [
    'src/client/claim-errors.ts',
    'src/client/clock.ts',
    'src/client/counters.ts',
    'src/client/identity.ts',
    'src/client/inflight.ts',
    'src/client/payer-core.ts',
    'src/client/system-clock.ts',
    'src/client/waiter-queue.ts',
  ],
  'test/unit/client/route/routed-link.test.ts': [
    'src/client/send-path.ts',
    'src/client/route/place.ts',
    'src/client/route/route-fetcher.ts',
  ],
  'test/unit/client/signer.test.ts': [
    'src/client/keys/batch-signer.ts',
    'src/client/keys/key-pair.ts',
    'src/client/keys/secp256k1-signer.ts',
  ],
  'test/unit/client/browser/page-state.test.ts': ['src/client/browser/database.ts'],
  'test/unit/client/browser/message-link.test.ts': ['src/client/links/carrier-calls.ts'],
  'test/unit/client/browser/open-web-link.test.ts': ['src/client/browser/payer.ts'],
  'test/unit/client/retransmission.test.ts': ['src/client/flow.ts'],
  'test/unit/client/group.test.ts': [
    'src/client/group/amounts.ts',
    'src/client/group/group-recorder.ts',
    'src/client/group/group-root.ts',
    'src/client/group/ordinary-claims.ts',
    'src/client/group/root-line.ts',
    'src/client/group/root-sender.ts',
    'src/client/group/wave.ts',
    'src/client/group/waves.ts',
    'src/client/root-signature.ts',
  ],
  'test/unit/client/state.test.ts': [
    'src/client/questions.ts',
    'src/client/state/payer-state.ts',
    'src/client/state/state-lock.ts',
    'src/client/state/state-text.ts',
  ],
  'test/unit/client/tcp.test.ts': [
    'src/client/control-calls.ts',
    'src/client/resume.ts',
    'src/client/links/tcp-connect.ts',
  ],
  'test/unit/client/udp.test.ts': ['src/client/links/open-link.ts'],
  'test/unit/client/pool.test.ts': [
    'src/client/pool/connection.ts',
    'src/client/pool/pool-stats.ts',
    'src/client/pool/router.ts',
  ],
  'test/unit/journal/recover.test.ts': ['src/journal/reader.ts', 'src/journal/walk.ts'],
  'test/unit/registry/registry.test.ts': ['src/registry/environment.ts'],
  'test/integration/store-postgres.test.ts': [
    'src/store/rules.ts',
    'src/store/postgres/address.ts',
    'src/store/postgres/arrays.ts',
    'src/store/postgres/channel-columns.ts',
    'src/store/postgres/connection.ts',
    'src/store/postgres/faults.ts',
    'src/store/postgres/migrate.ts',
    'src/store/postgres/schema.ts',
    'src/store/postgres/server-look.ts',
    'src/store/postgres/session.ts',
    'src/store/postgres/shard-statements.ts',
    'src/store/postgres/statements.ts',
  ],
  'test/unit/ledger/adopter.test.ts': ['src/ledger/adopter.ts'],
  'test/unit/ledger/service.test.ts': [
    'src/ledger/network.ts',
    'src/ledger/opening-refusals.ts',
    'src/ledger/reader.ts',
    'src/ledger/view.ts',
  ],
  'test/unit/ledger/watcher.test.ts': [
    'src/ledger/reconcile.ts',
    'src/ledger/view-entries.ts',
    'src/ledger/views.ts',
    'src/registry/leases.ts',
  ],
  'test/unit/registry/damage.test.ts': ['src/registry/lmdb-meta.ts', 'src/registry/lmdb-walk.ts'],
  'test/unit/registry/channel-remove.test.ts': ['src/registry/openings.ts', 'src/registry/store-rules.ts'],
  'test/unit/transport/tcp.test.ts': [
    'src/transport/tcp-admission.ts',
    'src/transport/tcp-intake.ts',
    'src/transport/tcp-outbox.ts',
  ],
  'test/differential/slots.test.ts': ['src/verify/kernel.ts', 'src/verify/kernel-backend.ts'],
  'test/unit/verify/ed25519.test.ts': ['src/verify/key-objects.ts'],
  'test/unit/ledger/xrpl-connection.test.ts': [
    'src/ledger/ledger-answer.ts',
    'src/ledger/ledger-servers.ts',
    'src/ledger/xrpl-library.ts',
    'src/ledger/xrpl-session.ts',
  ],
  'test/unit/control/server.test.ts': ['src/verify/openssl.ts'],
  'test/unit/tools/prove.test.ts': ['src/http/proofs.ts'],
  'test/unit/channel/rooted.test.ts': ['src/channel/key-sums.ts'],
  'test/siege/hostile-datagrams.test.ts': [
    'src/load/attack/base-amounts.ts',
    'src/load/attack/flood.ts',
    'src/load/attack/run.ts',
  ],
  'test/unit/load/attack/datagrams.test.ts': ['src/load/attack/kinds.ts', 'src/load/attack/known-channels.ts'],
  'test/unit/tools/load-attack.test.ts': [
    'src/load/attack/connections.ts',
    'src/load/attack/text.ts',
    'src/load/attack/tokens.ts',
  ],
  'test/unit/load/report.test.ts': [
    'src/load/report/charts.ts',
    'src/load/report/plot.ts',
    'src/load/report/style.ts',
    'src/load/report/tables.ts',
  ],
  'test/integration/cluster-load.test.ts': ['src/load/cluster/route-watch.ts'],
  'test/e2e/load-merkle.test.ts': ['src/load/merkle/run.ts'],
  'test/e2e/load.test.ts': [
    'src/load/acks.ts',
    'src/load/capture.ts',
    'src/load/corpus.ts',
    'src/load/dispatch.ts',
    'src/load/generator-thread.ts',
    'src/load/links/link-carrier.ts',
    'src/load/node-side.ts',
    'src/load/run.ts',
    'src/load/text.ts',
    'src/load/links/link-dgram.ts',
    'src/load/links/link-native.ts',
    'src/load/links/link-tcp.ts',
  ],
};

/** Files without a line that runs. */
const TYPES_ALONE = [
  'src/control/cluster-control.ts',
  'src/control/shard-control.ts',
  'src/webassembly.d.ts',
  'src/client/group/member.ts',
  'src/client/links/datagram-socket.ts',
  'src/client/links/peer-link.ts',
  'src/control/ledger-control.ts',
  'src/control/meter-control.ts',
  'src/meter/committed-source.ts',
  'src/ledger/ledger-port.ts',
  'src/metrics/sample.ts',
  'src/store/claim-database.ts',
  'src/web/messages.ts',
];

function files(folder: string, end: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && end.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

/** A path that compiled code is imported by, as its source. */
function sourceOf(path: string): string {
  if (path.startsWith('test/') || path.endsWith('.mjs')) return path;
  return path.replace(/^dist\//, '').replace(/\.js$/, '.ts');
}

/** What a file imports or starts as a thread. */
function imports(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/(?:from|import|new URL)\s*\(?\s*'(\.[^']+\.[cm]?[jt]s)'/g)].map((match) =>
    sourceOf(relative(ROOT, resolve(ROOT, dirname(file), match[1]!))),
  );
}

/** What a file compiles, or runs as a program. */
function programs(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/'(?:\.\.\/)*((?:dist\/)?(?:src|tools)\/[^']+\.[jt]s)'/g)].map((match) =>
    sourceOf(match[1]!),
  );
}

/** Every file that a test goes through, near or far. */
function reachedFrom(test: string): Set<string> {
  const reached = new Set<string>();
  const waiting = [test];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file) || !existsSync(join(ROOT, file))) continue;
    reached.add(file);
    waiting.push(...imports(file), ...programs(file));
  }
  return reached;
}

test('each file of src/ is mirrored or imported by a test, or the table names the test that goes through it', () => {
  const imported = new Set(files('test', /\.test\.ts$/).flatMap(imports));
  const named = new Set([...Object.values(TESTED_THROUGH).flat(), ...TYPES_ALONE]);
  const untested = files('src', /\.ts$/).filter((file) => {
    const mirror = file.replace(/^src/, 'test/unit').replace(/\.ts$/, '.test.ts');
    return !imported.has(file) && !existsSync(join(ROOT, mirror)) && !named.has(file);
  });
  expect(untested, 'write a test at the same path in test/unit, or name the test that goes through it').toEqual([]);
});

test.each(Object.entries(TESTED_THROUGH))('%s goes through the files that it is named for', (name, covered) => {
  const reached = reachedFrom(name);
  expect(covered.filter((file) => !reached.has(file))).toEqual([]);
});

test('what is said to be types alone has no line that runs', () => {
  const running = TYPES_ALONE.filter((file) =>
    /^(export )?(const|let|function|class|async)\b/m.test(readFileSync(join(ROOT, file), 'utf8')),
  );
  expect(running).toEqual([]);
});
