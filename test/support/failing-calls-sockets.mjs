/** Tests of the C addon's sockets while their system calls fail: what their owner is told. */
import assert from 'node:assert/strict';
import { closeSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { after, test } from 'node:test';
import { addon, arm, failing } from './failing-calls-rig.mjs';

const { EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EINTR, EINVAL, EIO, EMFILE, EMSGSIZE, ENOBUFS, ENOMEM, EOPNOTSUPP } =
  constants.errno;
const { EACCES, EAGAIN, EPERM } = constants.errno;

const STRIDE = 65_536 + 128;
const RECORD = 9;
const LOOPBACK = 0x0100_007f;
/** As Linux numbers them. */
const [SO_REUSEADDR, SO_RCVBUF, SO_REUSEPORT, SO_ATTACH_FILTER, SO_TIMESTAMPNS, SO_MEMINFO] = [2, 8, 15, 26, 35, 55];
const [IPV6_V6ONLY, UDP_GRO] = [26, 104];
const [REUSE, EXCLUSIVE, GRO, TIMES] = [1, 2, 4, 8];

const memory = () => ({
  received: new Uint8Array(4 * STRIDE),
  messages: new Uint32Array(4 * RECORD),
  sending: new Uint8Array(20_000),
  packets: new Uint32Array(128 * RECORD),
});
function open(host, { to = '', port = 0, flags = GRO, bytes = 0, ...parts } = memory()) {
  const { received, messages, sending, packets } = { ...memory(), ...parts };
  return addon.udpOpen(host, to, 0, port, flags, bytes, received, messages, sending, packets);
}
const portOf = (handle) => Number(addon.udpAddress(handle).split(':').at(-1));
const openFiles = () => readdirSync('/proc/self/fd').length;
/** Every socket that a test leaves open. */
const opened = [];
/** A sender with its memory, connected where `isConnected`, and the socket that receives from it. */
function pair(isConnected) {
  const parts = memory();
  const receiver = open('127.0.0.1', { flags: 0 });
  const port = portOf(receiver);
  const sender = isConnected ? open('', { to: '127.0.0.1', port, ...parts }) : open('127.0.0.1', parts);
  assert.ok(receiver >= 0 && sender >= 0);
  opened.push(receiver, sender);
  return { receiver, sender, port, ...parts };
}
/** Puts `count` packets of ten bytes for `port` into the sender's records. */
function fill({ packets }, port, count) {
  for (let index = 0; index < count; index++)
    packets.set([index * 10, 10, 0, port << 16, 0, 0, 0xffff_0000, LOOPBACK, 0], index * RECORD);
}
/** How many datagrams have come. */
function arrivals(receiver) {
  let count = 0;
  for (let got = 4; got === 4; count += got) got = addon.udpReceive(receiver, 4);
  return count;
}
after(() => {
  for (const handle of opened) addon.udpClose(handle);
});

test('a datagram socket that cannot be opened leaves its errno and nothing open', () => {
  const before = openFiles();
  for (const [fault, expected, host, options] of [
    [['socket', EMFILE], EMFILE, '127.0.0.1'],
    [['setsockopt', ENOBUFS, { which: SO_RCVBUF }], ENOBUFS, '127.0.0.1', { bytes: 65_536 }],
    [['setsockopt', EINVAL, { which: SO_REUSEPORT }], EINVAL, '127.0.0.1', { flags: REUSE }],
    [['setsockopt', EINVAL, { which: SO_REUSEPORT }], EINVAL, '127.0.0.1', { flags: REUSE | EXCLUSIVE }],
    [['bind', EADDRINUSE], EADDRINUSE, '127.0.0.1'],
    [['bind', EACCES], EACCES, '127.0.0.1', { flags: REUSE }],
    [['connect', EACCES], EACCES, '', { to: '127.0.0.1', port: 9 }],
    [['calloc', ENOMEM], ENOMEM, '127.0.0.1'],
  ])
    assert.equal(
      failing(fault, () => open(host, options)),
      -expected,
      JSON.stringify(fault),
    );
  assert.equal(open(''), -EADDRNOTAVAIL);
  assert.equal(open('nowhere'), -EADDRNOTAVAIL);
  assert.equal(open('127.0.0.1', { to: 'nowhere', port: 9 }), -EADDRNOTAVAIL);
  assert.equal(open('127.0.0.1', { to: '::1', port: 9 }), -EADDRNOTAVAIL);
  assert.equal(openFiles(), before);
});

test('a machine without IPv6, or that keeps it apart, says so', () => {
  assert.equal(
    failing(['socket', EAFNOSUPPORT], () => open('::1')),
    -EAFNOSUPPORT,
  );
  const plain = addon.streamBind('::', 0, 0);
  if (plain < 0) return; // there is none here
  closeSync(plain);
  const fault = ['setsockopt', EPERM, { which: IPV6_V6ONLY }];
  assert.equal(
    failing(fault, () => open('::')),
    -EPERM,
  );
  assert.equal(
    failing(fault, () => addon.streamBind('::', 0, 0)),
    -EPERM,
  );
});

test('a stream socket that cannot be bound leaves its errno and nothing open', () => {
  const before = openFiles();
  for (const [fault, expected, flags] of [
    [['socket', EMFILE], EMFILE, 0],
    [['setsockopt', ENOMEM, { which: SO_REUSEADDR }], ENOMEM, 0],
    [['setsockopt', EINVAL, { which: SO_REUSEPORT }], EINVAL, REUSE],
    [['setsockopt', EINVAL, { which: SO_REUSEPORT }], EINVAL, REUSE | EXCLUSIVE],
    [['bind', EADDRINUSE], EADDRINUSE, REUSE],
  ])
    assert.equal(
      failing(fault, () => addon.streamBind('127.0.0.1', 0, flags)),
      -expected,
      JSON.stringify(fault),
    );
  assert.equal(addon.streamBind('nowhere', 0, 0), -EADDRNOTAVAIL);
  assert.equal(openFiles(), before);
});

test('without arrival times from the kernel, and without GRO, a socket is opened all the same', () => {
  for (const [flags, which] of [
    [TIMES, SO_TIMESTAMPNS],
    [GRO, UDP_GRO],
  ]) {
    const handle = failing(['setsockopt', EINVAL, { which }], () => open('127.0.0.1', { flags }));
    assert.ok(handle >= 0);
    addon.udpClose(handle);
  }
});

test('what the kernel does not tell of a socket is nothing, or an error with a code', () => {
  const { receiver } = pair(false);
  const nameless = () => failing(['getsockname', ENOBUFS], () => addon.udpAddress(receiver));
  assert.throws(nameless, { code: 'ERR_CLAIMWIRE_ARGUMENT' });
  arm('', 0, -1, 0, 0);
  assert.equal(
    failing(['getsockopt', EINVAL, { which: SO_RCVBUF }], () => addon.udpReceiveBufferBytes(receiver)),
    0,
  );
  assert.equal(
    failing(['getsockopt', EINVAL, { which: SO_MEMINFO }], () => addon.udpDrops(receiver)),
    0,
  );
});

test('a packet filter that the kernel does not take changes nothing', () => {
  const { receiver, sender, port, ...parts } = pair(false);
  // The kernel counts instructions in 16 bits: of one too many it would see the first, which refuses every datagram.
  const program = new Uint32Array(2 * 65_537);
  program.set([6, 0]);
  for (const instructions of [4_097, 65_537]) assert.equal(addon.udpFilter(receiver, instructions, program), -EINVAL);
  assert.equal(
    failing(['setsockopt', ENOMEM, { which: SO_ATTACH_FILTER }], () => addon.udpFilter(receiver, 1, program)),
    -ENOMEM,
  );
  fill(parts, port, 1);
  assert.equal(addon.udpSend(sender, 1), 0);
  assert.equal(arrivals(receiver), 1);
  assert.throws(() => addon.udpFilter(receiver, 65_538, program), { code: 'ERR_CLAIMWIRE_ARGUMENT' });
});

test('packets leave after an interrupted call and a queue that was full for a while', () => {
  const { receiver, sender, port, ...parts } = pair(false);
  for (const fault of [
    ['sendmmsg', EINTR],
    ['sendmmsg', EAGAIN, { times: 3 }],
    ['sendmmsg', ENOBUFS, { times: 8 }],
  ]) {
    for (const count of [5, 1]) {
      fill(parts, port, count);
      assert.equal(
        failing(fault, () => addon.udpSend(sender, count)),
        0,
        JSON.stringify(fault),
      );
      assert.equal(arrivals(receiver), count);
    }
  }
});

test('packets that find the queue full for good are counted as lost, in bounded time', () => {
  const { receiver, sender, port, ...parts } = pair(false);
  fill(parts, port, 128);
  assert.equal(
    failing(['sendmmsg', ENOBUFS, { times: 9 }], () => addon.udpSend(sender, 128)),
    128,
  );
  assert.equal(arrivals(receiver), 0);
});

test('of a train that is refused each packet leaves alone, and one that is refused alone is lost', () => {
  const { receiver, sender, port, ...parts } = pair(false);
  fill(parts, port, 5);
  assert.equal(
    failing(['sendmmsg', EIO], () => addon.udpSend(sender, 5)),
    0,
  );
  assert.equal(arrivals(receiver), 5);
  assert.equal(
    failing(['sendmmsg', EPERM, { times: 2 }], () => addon.udpSend(sender, 5)),
    1,
  );
  assert.equal(arrivals(receiver), 4);
});

for (const error of [EINVAL, EIO, EMSGSIZE, EOPNOTSUPP])
  test(`segments that the kernel cannot cut are sent one by one from then on: ${error}`, () => {
    const { receiver, sender } = pair(true);
    assert.equal(
      failing(['sendmmsg', error], () => addon.udpSendSegments(sender, 0, 95, 10)),
      10,
    );
    assert.equal(arrivals(receiver), 10);
    // Refused again, as a single one, it is an error and no reason to try again.
    assert.equal(
      failing(['sendmmsg', error], () => addon.udpSendSegments(sender, 0, 95, 10)),
      -error,
    );
  });

test('segments that were sent are told, whatever comes after them', () => {
  const { sender } = pair(true);
  const send = (fault, bytes) => failing(fault, () => addon.udpSendSegments(sender, 0, bytes, 1));
  assert.equal(send(['sendmmsg', EINTR], 100), 100);
  assert.equal(send(['sendmmsg', ENOBUFS], 100), 0);
  assert.equal(send(['sendmmsg', EPERM], 100), -EPERM);
  // 64 messages of 64 segments are a call.
  assert.equal(send(['sendmmsg', EPERM, { skip: 1 }], 5_000), 4_096);
  assert.equal(send(['sendmmsg', EAGAIN, { skip: 1 }], 5_000), 4_096);
});

test('a receive that is interrupted has nothing, one that fails its errno; a wait that fails ends', () => {
  const { receiver, sender, port, ...parts } = pair(false);
  fill(parts, port, 2);
  addon.udpSend(sender, 2);
  for (const error of [EINTR, EAGAIN, ENOBUFS])
    assert.equal(
      failing(['recvmmsg', error], () => addon.udpReceive(receiver, 4)),
      0,
    );
  assert.equal(
    failing(['recvmmsg', ENOMEM], () => addon.udpReceive(receiver, 4)),
    -ENOMEM,
  );
  assert.equal(
    failing(['ppoll', EINTR], () => addon.udpWait(receiver, 1_000_000, 0)),
    0,
  );
  assert.equal(addon.udpWait(receiver, 0xffff_ffff, 1), 3);
  assert.equal(arrivals(receiver), 2);
});

test('a socket that cannot be polled says why, and can be later', async () => {
  const { receiver, sender, port, ...parts } = pair(false);
  let calls = 0;
  const poll = () => addon.udpPoll(receiver, () => calls++);
  assert.equal(failing(['calloc', ENOMEM], poll), -ENOMEM);
  assert.equal(failing(['epoll_ctl', EPERM], poll), -EPERM);
  assert.equal(poll(), 0);
  assert.throws(poll, { code: 'ERR_CLAIMWIRE_ARGUMENT' });
  fill(parts, port, 1);
  addon.udpSend(sender, 1);
  for (let look = 0; look < 1_000 && calls === 0; look++) await new Promise(setImmediate);
  assert.ok(calls > 0);
  addon.udpStop(receiver);
  addon.udpStop(sender);
});
