/**
 * What peers that pay each other owe and have earned. Amounts are drops.
 *
 * Nothing is settled here. A channel pays one way, so each side redeems what it has earned on the ledger by the best claims
 * that its node holds; the net says who has had more of the other's service. Pure.
 */
import { invalid } from './claim-errors.ts';

/** One peer, by our channel to it and its channel to us. */
export interface NettingPeer {
  peer: string;
  /** Our channel to the peer: a PaymentChannel is one. Drops signed, and drops that the peer has acknowledged. */
  pays: { readonly claimed: bigint; readonly committed: bigint };
  /** The peer's channel to us, as our node has it: a row of `node.channel()` is one. */
  earns: { readonly committed: bigint };
  /** Drops that were redeemed on the ledger from what the peer has paid. Default 0. */
  redeemed?: bigint;
}

/** Drops of one peer, or of all together. */
export interface NettingLine {
  /** Drops that our claims promise the peer in all. A claim binds from its signature on, acknowledged or not. */
  owed: bigint;
  /** Those of them that the peer holds for sure. */
  acknowledged: bigint;
  /** Drops of the peer's claims that are on our disk. */
  earned: bigint;
  /** Earned, and not redeemed yet. */
  redeemable: bigint;
  /** Earned less owed: below 0 where we have had more of the peer than it has had of us. */
  net: bigint;
}

/** What is owed and earned, peer by peer and in all. */
export interface NettingReport {
  peers: (NettingLine & { peer: string })[];
  total: NettingLine;
}

const COLUMNS = ['owed', 'acknowledged', 'earned', 'redeemable', 'net'] as const;

/** Throws ClaimwireError INPUT_INVALID where more was redeemed than earned, since one of the numbers is then of another channel. */
export function netting(peers: readonly NettingPeer[]): NettingReport {
  const lines = peers.map(({ peer, pays, earns, redeemed = 0n }) => {
    const owed = pays.claimed;
    const earned = earns.committed;
    if (redeemed < 0n || redeemed > earned)
      throw invalid(`redeemed: expected 0 to the ${earned} drops earned from ${peer}, got ${redeemed}`);
    return { peer, owed, acknowledged: pays.committed, earned, redeemable: earned - redeemed, net: earned - owed };
  });
  const total: NettingLine = { owed: 0n, acknowledged: 0n, earned: 0n, redeemable: 0n, net: 0n };
  for (const line of lines) for (const column of COLUMNS) total[column] += line[column];
  return { peers: lines, total };
}

/** The report as a table for people, a line for each peer and one for all of them. */
export function nettingText({ peers, total }: NettingReport): string {
  const rows = [
    ['peer', ...COLUMNS],
    ...[...peers, { peer: 'all', ...total }].map((line) => [
      line.peer,
      ...COLUMNS.map((column) => String(line[column])),
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  return rows.map((row) => row.map(cell).join('  ')).join('\n');
}
