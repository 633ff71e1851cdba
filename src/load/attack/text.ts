/** What an attack did, as text for people. Main thread. */
import type { AttackResult } from './run.ts';
import type { CountersJson, Sums } from './sums.ts';

export function attackText(result: AttackResult): string {
  const { attack, to, seed, udp, tcp, http, counted, sums, isUp } = result;
  const lines = [`attack ${attack} on ${to}, seed ${seed}`, ''];
  if (udp !== undefined)
    lines.push(
      `sent         ${udp.datagrams} datagrams, ${udp.claims} claims in them, ${udp.bytes} bytes in ${udp.seconds.toFixed(1)} s: ${Math.round(udp.datagrams / udp.seconds)} datagrams/s`,
      ...(Object.keys(udp.byKind).length > 1 ? [`kinds        ${listed(udp.byKind)}`] : []),
      ...(udp.notTaken > 0 ? [`not taken    ${udp.notTaken} datagrams by this system`] : []),
      ...(udp.refusals > 0 ? [`refused      ${udp.refusals} times: nobody listens there`] : []),
      `answered     ${listed(udp.answered)}`,
    );
  if (tcp !== undefined)
    lines.push(
      `connections  ${tcp.connected} stood of ${tcp.attempted} tried${tcp.attempted < tcp.wanted ? ` (${tcp.wanted} wanted: ulimit -n)` : ''}, ${tcp.failed} failed; ${tcp.cut} cut by the node, ${tcp.openAtEnd} open at the end`,
      `sent         ${tcp.bytesSent} bytes, ${tcp.messages} messages in ${tcp.seconds.toFixed(1)} s; ${tcp.bytesReceived} bytes came back`,
    );
  if (http !== undefined)
    lines.push(
      `sent         ${http.requests} guesses in ${http.seconds.toFixed(1)} s`,
      `answered     ${listed(http.answered)}`,
    );
  if (counted !== null) lines.push('', `node         ${listed(flat(counted))}`);
  if (sums !== null) lines.push(...sumLines(sums, attack === 'mixed'));
  if (isUp === false) lines.push('', 'The node does not answer any more.');
  else if (isInVain(result))
    lines.push('', 'Nobody took any of it: nobody listens there, and the attack has shown nothing.');
  return `${lines.join('\n')}\n`;
}

/** Whether nothing of the attack arrived anywhere, as far as that can be known. */
export function isInVain({ udp, tcp, http, sums }: AttackResult): boolean {
  if (tcp !== undefined) return tcp.attempted > 0 && tcp.connected === 0;
  if (http !== undefined)
    return http.requests > 0 && Object.keys(http.answered).every((status) => !(Number(status) > 0));
  const isAnswered = udp !== undefined && Object.keys(udp.answered).length > 0;
  return udp !== undefined && udp.refusals > 0 && !isAnswered && (sums?.datagrams.received ?? 0) === 0;
}

/** @param isAlone whether each datagram left alone: of a train that it drops the kernel counts one */
function sumLines({ datagrams, claims }: Sums, isAlone: boolean): string[] {
  const of = (missing: number) =>
    missing === 0 ? 'all accounted for' : missing > 0 ? `${missing} NOT ACCOUNTED FOR` : `${-missing} from others`;
  return [
    `datagrams    ${datagrams.sent} sent = ${datagrams.received} received + ${datagrams.kernel} dropped by the kernel: ${datagrams.missing > 0 && !isAlone ? `the other ${datagrams.missing} were in trains that it dropped` : of(datagrams.missing)}`,
    `             received: ${listed(datagrams.endedAs)}`,
    `claims       ${claims.received} received = ${listed(claims.by)}: ${of(claims.missing)}`,
  ];
}

function flat(counters: CountersJson): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counters).flatMap(([name, value]) =>
      typeof value === 'number'
        ? [[name, value] as const]
        : Object.entries(value).map(([reason, count]) => [`${name}.${reason}`, count] as const),
    ),
  );
}

/** Those that are not 0. */
function listed(counts: Record<string, number>): string {
  const parts = Object.entries(counts).filter(([, count]) => count !== 0);
  return parts.length === 0 ? 'nothing' : parts.map(([name, count]) => `${name} ${Math.round(count)}`).join(', ');
}
