import { afterEach, expect, test } from 'vitest';
import { WebProcess } from '../../../src/threads/web-process.ts';
import type { ControlPort } from '../../../src/transport/control-port.ts';

const { execPath } = process;
afterEach(() => {
  process.execPath = execPath;
});

test('a system that starts no process is told, and harms nobody', async () => {
  process.execPath = '/nowhere/node';
  const settings = {
    listen: { host: '127.0.0.1', port: 0 },
    tls: undefined,
    origins: [],
    webrtc: false,
    iceServers: [],
    limits: {},
  };
  const silent = { info() {}, warn() {}, error() {} };
  const start = WebProcess.start(settings, [], {} as ControlPort, silent);
  await expect(start).rejects.toMatchObject({ code: 'NODE_FAILED' });
});
