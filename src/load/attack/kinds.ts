/** The attacks of `claimwire load --attack`, by name: what each sends, and by which transport. */

export interface AttackKind {
  readonly transport: 'udp' | 'tcp' | 'http';
  /** Whether channels are opened for it, as throw-away ones. */
  readonly needsChannels: boolean;
  readonly summary: string;
}

export const ATTACKS = {
  'invalid-signatures': {
    transport: 'udp',
    needsChannels: true,
    summary: 'claims that nobody signed, of known channels',
  },
  'unknown-channels': { transport: 'udp', needsChannels: false, summary: 'claims of channels that nobody opened' },
  stale: { transport: 'udp', needsChannels: true, summary: 'well signed claims of amounts already committed' },
  doubled: {
    transport: 'udp',
    needsChannels: true,
    summary: 'well signed claims of new amounts, many times over',
  },
  junk: { transport: 'udp', needsChannels: false, summary: 'datagrams of 1 to 65,507 bytes of anything' },
  frames: {
    transport: 'udp',
    needsChannels: false,
    summary: 'nearly right: empty, cut short, acks, other types',
  },
  mixed: { transport: 'udp', needsChannels: true, summary: 'all of these by odds, each datagram alone' },
  'slow-tcp': { transport: 'tcp', needsChannels: false, summary: 'connections that send a claim byte by byte' },
  connections: { transport: 'tcp', needsChannels: false, summary: 'connections that send nothing' },
  'oversize-frames': {
    transport: 'tcp',
    needsChannels: false,
    summary: 'messages that announce over 65,536 bytes, or none',
  },
  tokens: { transport: 'http', needsChannels: false, summary: 'guessed admin tokens' },
} as const satisfies Record<string, AttackKind>;

export type AttackName = keyof typeof ATTACKS;

/** What a datagram is made as. */
export type DatagramKind = Exclude<
  { [Name in AttackName]: (typeof ATTACKS)[Name]['transport'] extends 'udp' ? Name : never }[AttackName],
  'mixed'
>;

/** Of how many datagrams of `mixed` each kind makes up its share. Junk is large, and so it is rare. */
export const MIXED_ODDS: Readonly<Record<DatagramKind, number>> = {
  'invalid-signatures': 30,
  'unknown-channels': 20,
  stale: 15,
  doubled: 15,
  junk: 5,
  frames: 15,
};

export const DATAGRAM_KINDS = Object.keys(MIXED_ODDS) as DatagramKind[];
