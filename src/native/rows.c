/* Whole leaf pages of the registry's file: their check, and their way into the channel table, for a start with millions of
 * channels. The twins of what registry/lmdb-walk.ts, channel/row.ts and channel/table.ts do for plain rows: a page that is not
 * plain or not sound is left to them, and they say what is wrong with it. */
#define _GNU_SOURCE /* MADV_HUGEPAGE */
#define NAPI_VERSION 8
#include <pthread.h>
#include <sys/mman.h>
#include "common.h"
#include "node_values.h"
#include "rows_generated.h"

#define PAGE_HEADER 24u
#define PAGE_LEAF 2u
#define NODE_HEADER 8u
#define KEY_BYTES 5u
#define NODE_BYTES (NODE_HEADER + KEY_BYTES + CW_REGISTRY_ROW_BYTES)
#define STATE_MASK 0x7fu /* without the flag of a throw-away channel */
#define PAGE_BYTES_MAX 65536u

static uint16_t le16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static uint32_t le32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static uint64_t le64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static uint32_t be32(const uint8_t *p) { return __builtin_bswap32(le32(p)); }

/* CRC-32 as zlib's, eight bytes at a time. */
static uint32_t crc_table[8][256];
static void make_crc_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++) crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 0xff];
}
static uint32_t crc32_of(const uint8_t *bytes, size_t length) {
    uint32_t c = ~0u;
    for (; length >= 8; length -= 8, bytes += 8) {
        const uint32_t low = le32(bytes) ^ c, high = le32(bytes + 4);
        c = crc_table[7][low & 0xff] ^ crc_table[6][low >> 8 & 0xff] ^ crc_table[5][low >> 16 & 0xff] ^ crc_table[4][low >> 24] ^
            crc_table[3][high & 0xff] ^ crc_table[2][high >> 8 & 0xff] ^ crc_table[1][high >> 16 & 0xff] ^ crc_table[0][high >> 24];
    }
    for (; length; length--) c = c >> 8 ^ crc_table[0][(c ^ *bytes++) & 0xff];
    return ~c;
}

/* As rowFault in channel/row.ts. */
static int is_sound(const uint8_t *row) {
    if (le32(row + CW_REGISTRY_ROW_CRC) != crc32_of(row, CW_REGISTRY_ROW_CRC)) return 0;
    const uint32_t version = row[CW_REGISTRY_ROW_VERSION], state = row[CW_REGISTRY_ROW_STATE];
    const int is_known = version == 1 ? state < 2 : version == 2 && (state & STATE_MASK) < 3;
    return is_known && row[CW_REGISTRY_ROW_PROFILE] < 2;
}
static const uint8_t *row_at(const uint8_t *page, uint32_t index) {
    return page + PAGE_HEADER + le16(page + PAGE_HEADER + 2 * index) + NODE_HEADER + KEY_BYTES;
}
/* As Walk.page and Walk.nodes in registry/lmdb-walk.ts for a leaf whose entries are the rows from position `next` on. Returns how
 * many they are, or 0 for any other page. Keys with the positions one after the other are in order. */
static uint32_t check_leaf(const uint8_t *page, uint32_t bytes, uint64_t number, uint64_t transaction, uint32_t next) {
    const uint32_t lower = le16(page + 20), upper = le16(page + 22), room = bytes - PAGE_HEADER, count = lower >> 1;
    if (le64(page) != number || le64(page + 8) > transaction || le16(page + 18) != PAGE_LEAF) return 0;
    if (!count || lower & 1 || lower > upper || upper > room || count * ((NODE_BYTES + 1) & ~1u) != room - upper) return 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t offset = le16(page + PAGE_HEADER + 2 * i);
        if (offset < upper || offset + NODE_BYTES > room) return 0;
        const uint8_t *node = page + PAGE_HEADER + offset;
        if (le32(node) != CW_REGISTRY_ROW_BYTES || le16(node + 4) || le16(node + 6) != KEY_BYTES) return 0;
        if (node[NODE_HEADER] != 'r' || be32(node + NODE_HEADER + 1) != next + i || !is_sound(row_at(page, i))) return 0;
    }
    return count;
}

static int inside(const struct cw_table *t, uint32_t offset, uint64_t count, uint32_t bytes) { return offset % 4 == 0 && offset + count * bytes <= t->bytes; }
static int is_table(const struct cw_table *t) {
    const uint64_t entries = (uint64_t)t->index_mask + 1;
    return !(t->index_mask & entries) && t->rows_max < entries && inside(t, t->hot, t->rows_max, CW_ROW_HOT_BYTES) &&
           inside(t, t->ledger_tails, t->rows_max, CW_LEDGER_TAIL_BYTES) && inside(t, t->signatures, t->rows_max, CW_SIGNATURE_BYTES) &&
           inside(t, t->keys, t->rows_max, CW_KEY_ROW_BYTES) && inside(t, t->index, entries, 4) && inside(t, t->key_index, entries, 4);
}
/* As hashHandle in channel/table.ts. */
static uint32_t hash_handle(uint32_t high, uint32_t low) {
    uint32_t hash = (low ^ high * CW_HASH_HIGH) * CW_HASH_BOTH;
    hash ^= hash >> CW_HASH_SHIFT;
    return hash * CW_HASH_END;
}
static uint32_t *index_slot(const struct cw_table *t, const uint8_t *row) {
    const uint32_t slot = hash_handle(le32(row + CW_REGISTRY_ROW_CHANNEL_ID + 4), le32(row + CW_REGISTRY_ROW_CHANNEL_ID)) & t->index_mask;
    return (uint32_t *)(t->base + t->index) + slot;
}
/* As #internKey. */
static uint32_t intern_key(const struct cw_table *t, const uint8_t *key, uint32_t *key_count) {
    uint32_t *entries = (uint32_t *)(t->base + t->key_index), slot = hash_handle(be32(key + 1), be32(key + 5)) & t->index_mask;
    for (; entries[slot]; slot = (slot + 1) & t->index_mask)
        if (!memcmp(t->base + t->keys + (size_t)(entries[slot] - 1) * CW_KEY_ROW_BYTES, key, CW_PUBLIC_KEY_BYTES)) return entries[slot] - 1;
    memcpy(t->base + t->keys + (size_t)*key_count * CW_KEY_ROW_BYTES, key, CW_PUBLIC_KEY_BYTES);
    entries[slot] = ++*key_count;
    return *key_count - 1;
}
/* A row of a channel that is not removed, with its default handle, and a key of secp256k1: the others are rare. */
static int is_plain(const uint8_t *row) {
    return (row[CW_REGISTRY_ROW_STATE] & STATE_MASK) < 2 && row[CW_REGISTRY_ROW_PUBLIC_KEY] != CW_ED25519_KEY_PREFIX &&
           le64(row + CW_REGISTRY_ROW_CHANNEL_ID) == __builtin_bswap64(le64(row + CW_REGISTRY_ROW_LEDGER_CHANNEL_ID));
}
static void put_pair(uint32_t *words, const uint8_t *field) {
    words[0] = le32(field + 4);
    words[1] = le32(field);
}
/* As ChannelTable.insertRow for a new row. */
static void insert(const struct cw_table *t, const uint8_t *row, uint32_t number, uint32_t *key_count) {
    uint32_t *hot = (uint32_t *)(t->base + t->hot + (size_t)number * CW_ROW_HOT_BYTES);
    const uint32_t state = row[CW_REGISTRY_ROW_STATE];
    put_pair(&hot[CW_HOT_ID_HIGH], row + CW_REGISTRY_ROW_CHANNEL_ID);
    put_pair(&hot[CW_HOT_CAPACITY_HIGH], row + CW_REGISTRY_ROW_CAPACITY);
    put_pair(&hot[CW_HOT_COMMITTED_HIGH], row + CW_REGISTRY_ROW_COMMITTED);
    put_pair(&hot[CW_HOT_TIMESTAMP_HIGH], row + CW_REGISTRY_ROW_TIMESTAMP);
    hot[CW_HOT_EXPIRES_AT] = le32(row + CW_REGISTRY_ROW_EXPIRES_AT);
    hot[CW_HOT_SEQUENCE] = le32(row + CW_REGISTRY_ROW_SEQUENCE);
    hot[CW_HOT_KEY] = intern_key(t, row + CW_REGISTRY_ROW_PUBLIC_KEY, key_count);
    memcpy(t->base + t->ledger_tails + (size_t)number * CW_LEDGER_TAIL_BYTES, row + CW_REGISTRY_ROW_LEDGER_CHANNEL_ID + CW_LEDGER_HEAD_BYTES,
           CW_LEDGER_TAIL_BYTES);
    if (le64(row + CW_REGISTRY_ROW_COMMITTED))
        memcpy(t->base + t->signatures + (size_t)number * CW_SIGNATURE_BYTES, row + CW_REGISTRY_ROW_SIGNATURE, CW_SIGNATURE_BYTES);
    hot[CW_HOT_FLAGS] = ((state & STATE_MASK) ? 0 : CW_FLAG_OPEN) | (state & ~STATE_MASK ? CW_FLAG_THROW_AWAY : 0) |
                        (row[CW_REGISTRY_ROW_PROFILE] ? CW_FLAG_LINK : 0);
    uint32_t *entries = (uint32_t *)(t->base + t->index), *entry = index_slot(t, row);
    while (*entry) entry = entries + ((uint32_t)(entry - entries + 1) & t->index_mask);
    __atomic_store_n(entry, number + 1, __ATOMIC_RELEASE);
}

static napi_value number_of(napi_env env, uint32_t value) {
    napi_value result = 0;
    napi_create_uint32(env, value, &result);
    return result;
}
/* Whether a value is a number that a double says exactly: of others the conversion is not defined. */
static int is_whole(napi_env env, napi_value value, double *number) {
    return napi_get_value_double(env, value, number) == napi_ok && *number >= 0 && *number < 0x1p53;
}
/* rowsCheck(page, number, transaction, next) -> the rows of a leaf page that has nothing but the rows from position `next` on, each
 * of them sound; or 0 */
static napi_value rows_check(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(4);
    uint8_t *page;
    size_t bytes;
    double number = 0, transaction = 0;
    uint32_t next = 0;
    if (argc < 4 || !cw_view(env, argv[0], napi_uint8_array, &page, &bytes) || bytes < 512 || bytes > PAGE_BYTES_MAX ||
        !is_whole(env, argv[1], &number) || !is_whole(env, argv[2], &transaction) || napi_get_value_uint32(env, argv[3], &next) != napi_ok)
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "rowsCheck: expected a page and three numbers");
    return number_of(env, check_leaf(page, (uint32_t)bytes, (uint64_t)number, (uint64_t)transaction, next));
}
/* rowsLoad(arena, layout, page, first, counts) -> how many rows of a page that rowsCheck found sound went into the table, from row
 * `first` of it on, until one is not plain. counts: the table's rows and keys, which grow. */
static napi_value rows_load(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(5);
    struct cw_table t;
    uint32_t *words, *counts, first = 0;
    uint8_t *page;
    size_t length[3];
    if (argc < 5 || !cw_view(env, argv[0], napi_uint8_array, &t.base, &t.bytes) || !cw_view(env, argv[1], napi_uint32_array, &words, &length[0]) ||
        !cw_view(env, argv[2], napi_uint8_array, &page, &length[1]) || !cw_view(env, argv[4], napi_uint32_array, &counts, &length[2]) ||
        length[0] != CW_TABLE_WORDS || length[1] < 512 || length[1] > PAGE_BYTES_MAX || length[2] != 2)
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "rowsLoad: expected an arena, its table's layout, a page, a number and two counts");
    memcpy(&t.hot, words, 4 * CW_TABLE_WORDS);
    napi_get_value_uint32(env, argv[3], &first);
    if (!is_table(&t) || counts[0] > t.rows_max || counts[1] > counts[0]) return cw_throw(env, "ERR_CLAIMWIRE_ARENA", "rowsLoad: expected a table inside the arena");
    const uint32_t count = le16(page + 20) >> 1;
    for (uint32_t i = first; i < count; i++) __builtin_prefetch(index_slot(&t, row_at(page, i)), 1);
    uint32_t taken = 0;
    for (; first + taken < count && counts[0] < t.rows_max; taken++) {
        const uint8_t *row = row_at(page, first + taken);
        if (!is_plain(row)) break;
        insert(&t, row, counts[0]++, &counts[1]);
    }
    return number_of(env, taken);
}
/* hugePages(bytes) -> whether the system is asked to back these bytes by huge pages, where they fill some */
static napi_value huge_pages(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    napi_value result = 0;
    int is_asked = 0;
    uint8_t *bytes;
    size_t length;
    if (argc < 1 || !cw_view(env, argv[0], napi_uint8_array, &bytes, &length))
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "hugePages: expected bytes");
#ifdef MADV_HUGEPAGE
    const uintptr_t page = (uintptr_t)2 << 20, start = ((uintptr_t)bytes + page - 1) & ~(page - 1), end = ((uintptr_t)bytes + length) & ~(page - 1);
    is_asked = end > start && madvise((void *)start, end - start, MADV_HUGEPAGE) == 0;
#endif
    napi_get_boolean(env, is_asked, &result);
    return result;
}

void cw_rows_register(napi_env env, napi_value exports) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const struct cw_function functions[] = {{"rowsCheck", rows_check}, {"rowsLoad", rows_load}, {"hugePages", huge_pages}};
    pthread_once(&once, make_crc_table);
    cw_export(env, exports, 0, functions, sizeof functions / sizeof *functions);
}
