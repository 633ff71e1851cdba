/**
 * Fields of a ledger server's answers, each checked before it is used: a server may be wrong, old or hostile. Every error
 * is a ClaimwireError LEDGER_REFUSED that names the field.
 */
import { isValidClassicAddress } from 'ripple-address-codec';
import { DROPS_MAX } from '../../protocol/layout.ts';
import { got } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import { RIPPLE_EPOCH } from './xrpl.ts';

export type Fields = Record<string, unknown>;

const U32_MAX = 0xffff_ffff;
const RANGES_CHARACTERS_MAX = 65_536;

export function refuse(field: string, expected: string, actual: unknown): never {
  const message = `the ledger server's ${field}: expected ${expected}, got ${got(actual)}`;
  throw new ClaimwireError('LEDGER_REFUSED', message, { field });
}

export function fieldsOf(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(field, 'an object', value);
  return value as Fields;
}

export function listOf(value: unknown, field: string): unknown[] {
  return Array.isArray(value) ? value : refuse(field, 'an array', value);
}

export function u32Of(value: unknown, field: string): number {
  return typeof value === 'number' && value === value >>> 0 ? value : refuse(field, `an integer to ${U32_MAX}`, value);
}

/** Drops, which the ledger writes as a decimal string. */
export function dropsOf(value: unknown, field: string): bigint {
  const expected = `drops as a decimal string to ${DROPS_MAX}`;
  if (typeof value !== 'string' || !/^(0|[1-9][0-9]{0,17})$/.test(value)) refuse(field, expected, value);
  const drops = BigInt(value);
  return drops <= DROPS_MAX ? drops : refuse(field, expected, value);
}

export function hexOf(value: unknown, byteLength: number, field: string): Uint8Array {
  if (typeof value !== 'string' || value.length !== byteLength * 2 || !/^[0-9A-F]+$/.test(value))
    refuse(field, `${byteLength * 2} upper-case hex digits`, value);
  return new Uint8Array(Buffer.from(value, 'hex'));
}

export function addressOf(value: unknown, field: string): string {
  return typeof value === 'string' && isValidClassicAddress(value) ? value : refuse(field, 'a classic address', value);
}

/** Unix seconds of a time that the ledger counts from 2000-01-01. */
export function timeOf(value: unknown, field: string): number {
  return u32Of(value, field) + RIPPLE_EPOCH;
}

/** The same where a missing field says "never", which is 0. */
export function optionalTimeOf(value: unknown, field: string): number {
  return value === undefined ? 0 : timeOf(value, field);
}

/** Whether ranges such as `7,9-20` have every ledger from `first` to `last`. */
export function covers(ranges: unknown, first: number, last: number): boolean {
  if (typeof ranges !== 'string' || ranges.length > RANGES_CHARACTERS_MAX)
    refuse('complete_ledgers', `ranges in at most ${RANGES_CHARACTERS_MAX} characters`, ranges);
  return ranges.split(',').some((range) => {
    const bounds = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(range.trim());
    return bounds !== null && Number(bounds[1]) <= first && last <= Number(bounds[2] ?? bounds[1]);
  });
}
