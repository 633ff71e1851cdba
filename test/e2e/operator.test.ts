/**
 * What an operator sees: the first and last line, the lock, signals, corruption, and commands that answer in one line.
 */
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { claimwire } from '../support/command-line.ts';
import { getJson, NodeProcess, openChannels, temporaryFolders } from '../support/node-process.ts';
import { PayerRun } from '../support/payer-run.ts';

const folder = temporaryFolders();
/** Where it is not about a node as an operator starts it, the warm-up would be most of the work. */
const COLD = { env: { CLAIMWIRE_WARM_UP: 'off' } };

/** A folder whose journal holds claims after the last checkpoint, because the node was killed. */
async function killedNode(): Promise<{ data: string; run: PayerRun; segment: string }> {
  const data = folder('killed');
  const node = new NodeProcess(data, ['--lanes', '1'], undefined, COLD);
  const ready = await node.ready;
  const run = new PayerRun(20, 3);
  await openChannels(ready, data, run.channels);
  await run.run(ready, 400);
  node.kill('SIGKILL');
  await node.exit;
  const lane = join(data, 'journal', '0');
  const segment = readdirSync(lane)
    .filter((name) => name.endsWith('.seg'))
    .sort()[0]!;
  return { data, run, segment: join(lane, segment) };
}

function flipByte(file: string, offset: number): void {
  const bytes = readFileSync(file);
  const fd = openSync(file, 'r+');
  writeSync(fd, Uint8Array.of(bytes[offset]! ^ 0x40), 0, 1, offset);
  closeSync(fd);
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s: drained, checkpointed, exit 0, totals on the last line',
  async (signal) => {
    const data = folder('stop');
    const node = new NodeProcess(data);
    const ready = await node.ready;
    expect(ready).toMatchObject({ event: 'ready', channels: 0, pid: node.pid, durability: 'sync', verify: 'every' });
    expect(ready).toHaveProperty('layout', ready.backend === 'native' ? 'lanes' : 'pipeline');
    expect(ready.udp).toMatch(/^127\.0\.0\.1:\d+$/);
    const run = new PayerRun(10, 4);
    await openChannels(ready, data, run.channels);
    await run.run(ready, 200);
    node.kill(signal);
    expect(await node.exit).toEqual({ code: 0, signal: null });
    const last = JSON.parse(node.stdout.at(-1)!);
    expect(last).toMatchObject({ event: 'stopped', channels: 10 });
    expect(last.counters.committed).toBeGreaterThanOrEqual(200);
    expect(statSync(join(data, 'admin-token')).mode & 0o777).toBe(0o600);

    const again = new NodeProcess(data, [], undefined, COLD);
    const rows = await getJson<{ committed: string }[]>(await again.ready, '/channels');
    expect(rows.map((row) => row.committed).sort()).toEqual(run.claimed.map(String).sort());
    await again.stop();
  },
);

test('a second node on the same folder is refused, the first goes on', async () => {
  const data = folder('lock');
  const node = new NodeProcess(data, [], undefined, COLD);
  const ready = await node.ready;
  const second = new NodeProcess(data, [], undefined, COLD);
  expect((await second.exit).code).toBe(1);
  expect(second.stderr).toMatch(new RegExp(`used by process ${node.pid}`));
  expect(second.stdout).toEqual([]);
  expect((await fetch(`http://${ready.http}/healthz`)).status).toBe(200);
  await node.stop();
});

test('a journal damaged in the middle: refused, untouched; with --cut-journal what lies before it is kept', async () => {
  const { data, run, segment } = await killedNode();
  flipByte(segment, 4_096 + 40); // the first group's first record
  const before = readFileSync(segment);
  const refused = new NodeProcess(data, [], undefined, COLD);
  expect((await refused.exit).code).toBe(1);
  expect(refused.stderr).toContain(`${segment}:4096`);
  expect(refused.stderr).toMatch(/expected checksum|nothing was changed/);
  expect(readFileSync(segment).equals(before)).toBe(true);
  const verify = await claimwire('journal', 'verify', data);
  expect(verify.code).toBe(1);
  expect(verify.stdout + verify.stderr).toContain(':4096');

  const cut = new NodeProcess(data, ['--cut-journal'], undefined, COLD);
  const ready = await cut.ready;
  expect(cut.stderr).toMatch(/dropped \d+ bytes/);
  const rows = await getJson<{ committed: string }[]>(ready, '/channels');
  expect(rows).toHaveLength(run.channels.length);
  await cut.stop();
});

test('a torn end: cut, reported, everything before it kept', async () => {
  const { data, run, segment } = await killedNode();
  // Only the first sector of a group was written before the power failed.
  const bytes = readFileSync(segment);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const fd = openSync(segment, 'r+');
  writeSync(fd, bytes, 4_096, 40, Math.ceil(end / 4_096) * 4_096);
  closeSync(fd);
  const node = new NodeProcess(data, [], undefined, COLD);
  const rows = await getJson<{ committed: string }[]>(await node.ready, '/channels');
  expect(rows.map((row) => row.committed).sort()).toEqual(run.claimed.map(String).sort());
  expect(node.stderr).toMatch(/torn end at .*dropped/);
  await node.stop();
});

test('a corrupt registry: refused, said where, never overwritten', async () => {
  const data = folder('registry');
  const node = new NodeProcess(data, [], undefined, COLD);
  const ready = await node.ready;
  await openChannels(ready, data, new PayerRun(50, 5).channels);
  await node.stop();
  const file = join(data, 'registry', 'data.mdb');
  const bytes = readFileSync(file);
  bytes.fill(0xa5, 8_192, bytes.length);
  writeFileSync(file, bytes);
  const refused = new NodeProcess(data, [], undefined, COLD);
  expect((await refused.exit).code).toBe(1);
  expect(refused.stderr).toMatch(/registry .*data\.mdb/);
  expect(refused.stdout).toEqual([]);
  expect(readFileSync(file).equals(bytes)).toBe(true);
});

test('bad flags and files: one line saying what was expected, exit 2 or 1', async () => {
  const cases: [number, string[]][] = [
    [2, ['node', '--udp', 'nowhere']],
    [2, ['node', '--verifiers', '0']],
    [2, ['node', '--backend', 'magic']],
    [2, ['node', '--layout', 'circle']],
    [2, ['node', '--lanes', '0']],
    [2, ['node', '--sockets', 'wool']],
    [2, ['node', '--path', 'winding']],
    [2, ['node', '--durability', 'perhaps']],
    [2, ['node', '--verify', 'some']],
    [1, ['node', '--data', join(folder('lanes'), 'data'), '--layout', 'lanes', '--lanes', '2', '--sockets', 'dgram']],
    [2, ['node', '--nonsense']],
    [2, ['frobnicate']],
    [2, ['channel', 'open', '--ledger-channel', 'zz']],
    [1, ['channel', 'list', '--http', 'http://127.0.0.1:1']],
    [1, ['decode', 'xyz']],
    [1, ['journal', 'verify', join(folder('none'), 'missing')]],
  ];
  for (const [code, args] of cases) {
    const result = await claimwire(...args);
    expect(result.code, args.join(' ')).toBe(code);
    expect(result.stderr.trim().split('\n'), args.join(' ')).toHaveLength(1);
    expect(result.stderr, args.join(' ')).toMatch(/expected/);
  }
});

// commands.test.ts asks each command and each action for its own.
test.each(['', 'channel', 'journal'])('claimwire %s --help', async (command) => {
  const { code, stdout } = await claimwire(...[command, '--help'].filter((word) => word !== ''));
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Usage: claimwire/);
});
