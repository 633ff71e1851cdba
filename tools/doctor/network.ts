/** Checks of sockets: receive buffers, trains of datagrams, descriptors, ports, and the way to the ledger. */
import { hostPortText } from '../../src/host-port.ts';
import { TCP_LIMITS } from '../../src/transport/tcp-options.ts';
import { RECEIVE_BUFFER_BYTES } from '../../src/transport/udp.ts';
import { type Address, bytesText, type Check, error, type Finding, ok, warning } from './check.ts';
import type { Machine } from './machine.ts';

const RMEM_MAX = '/proc/sys/net/core/rmem_max';

export const receiveBuffer: Check = (machine) => {
  const text = machine.text(RMEM_MAX);
  const most = Number(text);
  const facts = { rmemMaxBytes: text === undefined ? null : most, wantedBytes: RECEIVE_BUFFER_BYTES };
  if (text === undefined) return ok('How large receive buffers may be cannot be told here.', facts);
  if (most >= RECEIVE_BUFFER_BYTES)
    return ok(
      `A socket may have ${bytesText(most)}, and the node asks for ${bytesText(RECEIVE_BUFFER_BYTES)} each.`,
      facts,
    );
  return warning(
    `A socket may have ${bytesText(most)}, and the node asks for ${bytesText(RECEIVE_BUFFER_BYTES)}: a burst of claims is dropped that would have fitted.`,
    `echo net.core.rmem_max=${4 * RECEIVE_BUFFER_BYTES} | sudo tee /etc/sysctl.d/90-claimwire.conf && sudo sysctl --system`,
    facts,
  );
};

/** Datagrams that the trial sends in one call. */
export const TRAIN_DATAGRAMS = 4;

export const trains: Check = async (machine) => {
  const messages = await machine.trains();
  if (typeof messages === 'string')
    return warning(
      `Datagrams cannot be sent and received in trains (${messages}): each costs a system call, some ten times as much.`,
      'make native',
      { trains: false },
    );
  const facts = { trains: messages < TRAIN_DATAGRAMS, messages };
  if (messages > 0 && messages < TRAIN_DATAGRAMS)
    return ok('UDP GSO and GRO work: trains of datagrams cross the system in one call.', facts);
  if (messages === 0)
    return warning(
      'A train of datagrams over loopback did not arrive: something filters UDP on this machine.',
      'sudo nft list ruleset',
      facts,
    );
  return warning(
    `A train of ${TRAIN_DATAGRAMS} datagrams arrived as ${messages} messages: this system lacks UDP GSO or GRO (Linux 5.0 and later have both).`,
    'uname -r',
    facts,
  );
};

/** The node's own files: segments, registry, sockets, worker threads. */
const OWN_DESCRIPTORS = 256;

export const descriptors: Check = (machine) => {
  const limits = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(machine.text('/proc/self/limits') ?? '');
  if (limits === null) return ok('The limit of open files cannot be told here.', {});
  const soft = limits[1] === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(limits[1]);
  const wanted = TCP_LIMITS.connectionsMax + OWN_DESCRIPTORS;
  const facts = { limit: soft, hard: limits[2]!, wanted };
  if (soft >= wanted) return ok(`${soft} files may be open, and the node may need ${wanted}.`, facts);
  const fix = `ulimit -n ${wanted}   # under systemd: LimitNOFILE=${wanted}`;
  const message = `${soft} files may be open, and ${TCP_LIMITS.connectionsMax} connections need ${wanted}: later ones are refused.`;
  return soft < OWN_DESCRIPTORS ? error(message, fix, facts) : warning(message, fix, facts);
};

const ANOTHER_PORT = 19_393;

export const ports: Check = async (machine, { udp, http }) => {
  const wanted = [
    { flag: 'udp', protocol: 'udp', ...udp },
    { flag: 'tcp', protocol: 'tcp', ...udp },
    { flag: 'http', protocol: 'tcp', ...http },
  ] as const;
  const faults = await Promise.all(
    wanted.map(async (each) => ({ ...each, fault: await machine.bindFault(each.protocol, each.host, each.port) })),
  );
  const text = `${hostPortText(udp)} (UDP and TCP) and ${hostPortText(http)} (HTTP)`;
  const first = faults.find(({ fault }) => fault !== undefined);
  if (first === undefined) return ok(`${text} are free.`, { free: true });
  if (first.fault === 'EADDRINUSE' && (await machine.isNodeAt(http.host, http.port)))
    return ok(`A claimwire node answers at ${hostPortText(http)}, which has its ports.`, { free: false, node: true });
  return portFinding(first, first.fault!);
};

function portFinding(
  { flag, protocol, host, port }: Address & { flag: string; protocol: string },
  fault: string,
): Finding {
  const facts = { free: false, node: false, port, fault };
  const name = `${protocol.toUpperCase()} ${hostPortText({ host, port })}`;
  const other = `claimwire node --${flag} ${hostPortText({ host, port: ANOTHER_PORT })}`;
  if (fault === 'EADDRINUSE')
    return error(
      `${name} is in use by another program, so a node cannot start there.`,
      `sudo ss -${protocol === 'udp' ? 'u' : 't'}lnp 'sport = :${port}'`,
      facts,
    );
  if (fault === 'EACCES') return error(`${name} needs rights that this user has not.`, other, facts);
  return error(`${name} cannot be bound (${fault}).`, 'ip -brief address', facts);
}

/** Above this a redemption is still made in time, but something is wrong. */
const LEDGER_MS_SLOW = 2_000;

export const ledger: Check = async (machine: Machine, { ledger: url }) => {
  if (url === undefined) return ok('No ledger was named (--ledger URL), so none was asked.', { asked: false });
  if (!machine.hasLedgerLibrary())
    return error('The library for the ledger is not installed.', 'npm install xrpl', { asked: false, library: false });
  const result = await machine.reach(url);
  const facts = { asked: true, url, ms: typeof result === 'number' ? result : null };
  if (typeof result === 'string')
    return error(`${url} cannot be reached (${result}).`, `curl -sv --max-time 5 ${url.replace(/^ws/, 'http')}`, facts);
  if (result > LEDGER_MS_SLOW)
    return warning(
      `${url} answers after ${(result / 1_000).toFixed(1)} s, which is slow.`,
      `claimwire node --ledger ${url} --ledger wss://s2.ripple.com`,
      facts,
    );
  return ok(`${url} answers in ${Math.round(result)} ms.`, facts);
};
