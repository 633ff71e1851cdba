/**
 * A seeded generator for tests: the same seed gives the same run everywhere (mulberry32).
 */
export interface Random {
  u32(): number;
  /** 0 .. bound − 1. */
  below(bound: number): number;
  u64(): bigint;
  bytes(size: number): Uint8Array;
}

export function random(seed: number): Random {
  let state = seed >>> 0;
  const u32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    u32,
    below: (bound) => u32() % bound,
    u64: () => (BigInt(u32()) << 32n) | BigInt(u32()),
    bytes: (size) => Uint8Array.from({ length: size }, () => u32() & 0xff),
  };
}
