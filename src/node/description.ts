/** What a node checks before it starts, and says of itself once it has. Main thread. */
import { createSecureContext } from 'node:tls';
import { type NodeConfig, ringSlots, tableCapacity } from '../config.ts';
import { ClaimwireError } from '../errors.ts';
import { addonOrigin } from '../native/addon.ts';

/** The running configuration, for the log. */
export function describeNode(
  config: NodeConfig,
  {
    kernelName,
    channelCount,
    receiveBufferBytes,
    hasHugePages,
  }: { kernelName: string | null; channelCount: number; receiveBufferBytes: number; hasHugePages: boolean },
): string {
  const { layout, lanes, verifiers, sockets, path, backend, durability, verify, store } = config;
  const from = backend === 'native' ? ` of ${addonOrigin()}` : '';
  const kernel = kernelName === null ? '' : ` (${kernelName}${from})`;
  const durable =
    store !== undefined
      ? `stored at ${store.replace(/^(\w+:\/\/)[^@/]*@/, '$1')} before acknowledged`
      : durability === 'sync'
        ? 'synced before acknowledged'
        : 'written, NOT synced, before acknowledged';
  return [
    `layout ${layout} (${layout === 'lanes' ? `${lanes} lanes` : `${verifiers} verifiers`})`,
    `backend ${backend}${kernel} verifying ${verify === 'every' ? 'every claim' : 'the newest claims'}`,
    `${path} path`,
    `rings of ${ringSlots(config)} slots`,
    `${sockets} sockets with receive buffers of ${receiveBufferBytes} bytes`,
    `channels ${channelCount} of ${tableCapacity(config, channelCount)}${hasHugePages ? ' in huge pages' : ''}`,
    durable,
  ].join(', ');
}

/** Throws CONFIG_INVALID for a certificate or key that every thread would fail with. */
export function checkTls(tls: NodeConfig['tls']): void {
  if (tls === undefined) return;
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `tls: expected a PEM certificate and the key that belongs to it, got: ${(error as Error).message}`,
    );
  }
}
