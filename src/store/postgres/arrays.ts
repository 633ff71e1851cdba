/** Columns of many rows as parameters: arrays of PostgreSQL in their binary form, of which the server reads no digit. */

/** Object ids of types (pg_type.dat), which never change. */
const TYPE = { bytea: 17, int8: 20, int2: 21, text: 25 } as const;
const HEADER_BYTES = 20;

/** Byte strings. */
export function byteArrays(items: readonly Uint8Array[]): Buffer {
  return binaryStrings(TYPE.bytea, items);
}

export function texts(items: readonly string[]): Buffer {
  return binaryStrings(
    TYPE.text,
    items.map((item) => Buffer.from(item)),
  );
}

/** u64s as the i64s with the same bits: SQL has no others (`UNSIGNED`). */
export function bigints(items: readonly bigint[]): Buffer {
  const bytes = header(TYPE.int8, items.length, items.length * 12);
  for (const [index, item] of items.entries()) {
    bytes.writeInt32BE(8, HEADER_BYTES + index * 12);
    bytes.writeBigInt64BE(BigInt.asIntN(64, item), HEADER_BYTES + index * 12 + 4);
  }
  return bytes;
}

/** Whole numbers up to 2^53. */
export function wholes(items: readonly number[]): Buffer {
  return bigints(items.map(BigInt));
}

export function smalls(items: readonly number[]): Buffer {
  const bytes = header(TYPE.int2, items.length, items.length * 6);
  for (const [index, item] of items.entries()) {
    bytes.writeInt32BE(2, HEADER_BYTES + index * 6);
    bytes.writeInt16BE(item, HEADER_BYTES + index * 6 + 4);
  }
  return bytes;
}

/** SQL for the u64 whose bits are those of the i64 in `column`. */
export function unsigned(column: string): string {
  return `(case when ${column} < 0 then ${column}::numeric + 18446744073709551616 else ${column}::numeric end)`;
}

function binaryStrings(type: number, items: readonly Uint8Array[]): Buffer {
  const bytes = header(
    type,
    items.length,
    items.reduce((sum, { length }) => sum + 4 + length, 0),
  );
  let offset = HEADER_BYTES;
  for (const item of items) {
    bytes.writeInt32BE(item.length, offset);
    bytes.set(item, offset + 4);
    offset += 4 + item.length;
  }
  return bytes;
}

/** One dimension whose first index is 1, or none where it is empty. */
function header(type: number, count: number, length: number): Buffer {
  if (count === 0) {
    const empty = Buffer.alloc(12);
    empty.writeInt32BE(type, 8);
    return empty;
  }
  const bytes = Buffer.alloc(HEADER_BYTES + length);
  bytes.writeInt32BE(1, 0);
  bytes.writeInt32BE(type, 8);
  bytes.writeInt32BE(count, 12);
  bytes.writeInt32BE(1, 16);
  return bytes;
}
