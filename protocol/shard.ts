/**
 * Which shard a channel belongs to, from its handle alone (README.md, "Shards"). Both ends compute it, so it never changes.
 *
 * The hash is the finaliser of splitmix64 (https://prng.di.unimi.it/splitmix64.c), and the shard is its top 10 bits: handles
 * are the first bytes of ledger channel ids, but an operator may also count them from 1, and both must spread evenly. It is
 * computed on the two halves of the u64, since BigInt allocates.
 */

/** Channels hash to so many shards, numbered from 0. */
export const SHARDS = 1_024;

const SHARD_SHIFT = 22;
const FIRST_HIGH = 0xbf58476d;
const FIRST_LOW = 0x1ce4e5b9;
const SECOND_HIGH = 0x94d049bb;
const SECOND_LOW = 0x133111eb;

/** The upper 32 bits of the product of two u32s, by halves of 16 bits: no partial sum passes 2^33. */
function upperProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carried = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carried / 0x10000)) >>> 0;
}

/** The upper half of the lower 64 bits of a product of two u64s. */
function upperHalf(aHigh: number, aLow: number, bHigh: number, bLow: number): number {
  return (upperProduct(aLow, bLow) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0;
}

/** The shard of the channel whose handle has these halves, both u32. Allocates nothing. */
export function shardOf(channelHigh: number, channelLow: number): number {
  // z = (z ^ z >>> 30) × first; z = (z ^ z >>> 27) × second. The last step, z ^ z >>> 31, leaves the top bits as they are.
  let high = (channelHigh ^ (channelHigh >>> 30)) >>> 0;
  let low = (channelLow ^ ((channelHigh << 2) | (channelLow >>> 30))) >>> 0;
  const product = upperHalf(high, low, FIRST_HIGH, FIRST_LOW);
  low = Math.imul(low, FIRST_LOW) >>> 0;
  high = (product ^ (product >>> 27)) >>> 0;
  low = (low ^ ((product << 5) | (low >>> 27))) >>> 0;
  return upperHalf(high, low, SECOND_HIGH, SECOND_LOW) >>> SHARD_SHIFT;
}

/** The shard of a channel by its handle, a u64. */
export function shardOfChannel(channelId: bigint): number {
  return shardOf(Number(channelId >> 32n), Number(channelId & 0xffff_ffffn));
}
