/* The Node-API binding of merkle.c. Lengths are checked here; nothing is kept between two calls. */
#define NAPI_VERSION 8
#include "merkle.h"
#include "merkle_frames.h"
#include "node_values.h"

static napi_value fail(napi_env env, const char *message) { return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", message); }

/* Whether `wanted` bytes lie in the array of `length` from `at` on. */
static int holds(size_t length, uint32_t at, size_t wanted) { return at <= length && wanted <= length - at; }

/* merkleLeaves(ids, idsAt, leaves, leavesAt, sequence, count, out, outAt): TreeHash.leaves of protocol/merkle.ts */
static napi_value hash_leaves(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(8);
    uint8_t *ids, *leaves, *out;
    size_t ids_length, leaves_length, out_length;
    uint32_t ids_at = 0, leaves_at = 0, sequence = 0, count = 0, out_at = 0;
    if (argc < 8 || !cw_view(env, argv[0], napi_uint8_array, &ids, &ids_length) || !cw_view(env, argv[2], napi_uint8_array, &leaves, &leaves_length) ||
        !cw_view(env, argv[6], napi_uint8_array, &out, &out_length))
        return fail(env, "merkleLeaves: expected ids, leaves and out, each with its offset, and a sequence and a count");
    napi_get_value_uint32(env, argv[1], &ids_at);
    napi_get_value_uint32(env, argv[3], &leaves_at);
    napi_get_value_uint32(env, argv[4], &sequence);
    napi_get_value_uint32(env, argv[5], &count);
    napi_get_value_uint32(env, argv[7], &out_at);
    if (!holds(ids_length, ids_at, 32 * (size_t)count) || !holds(leaves_length, leaves_at, CW_LEAF_BYTES * (size_t)count) ||
        !holds(out_length, out_at, CW_HASH_BYTES * (size_t)count))
        return fail(env, "merkleLeaves: expected 32 bytes of id, 16 of leaf and room for 32 of hash a leaf");
    cw_merkle_leaves(count, ids + ids_at, leaves + leaves_at, sequence, out + out_at);
    return 0;
}
/* merkleNodes(hashes, hashesAt, count, out, outAt): TreeHash.nodes */
static napi_value hash_nodes(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(5);
    uint8_t *hashes, *out;
    size_t length, out_length;
    uint32_t hashes_at = 0, count = 0, out_at = 0;
    if (argc < 5 || !cw_view(env, argv[0], napi_uint8_array, &hashes, &length) || !cw_view(env, argv[3], napi_uint8_array, &out, &out_length))
        return fail(env, "merkleNodes: expected hashes and out, each with its offset, and a count");
    napi_get_value_uint32(env, argv[1], &hashes_at);
    napi_get_value_uint32(env, argv[2], &count);
    napi_get_value_uint32(env, argv[4], &out_at);
    if (!holds(length, hashes_at, 2 * CW_HASH_BYTES * (size_t)count) || !holds(out_length, out_at, CW_HASH_BYTES * (size_t)count))
        return fail(env, "merkleNodes: expected two hashes and room for one a node");
    cw_merkle_nodes(count, hashes + hashes_at, out + out_at);
    return 0;
}
/* merkleFrames(arena, layout, entries, count, places, keys, preimages, digests): for each of the first `count` entries (byte offsets in the
 * arena) the row of its frame's key, the 64 bytes that its root's signature covers, and their digest. places: in an entry, the bytes at which the
 * rows of its leaves and its frame begin, and the bytes of the longest entry (ring/frame-pool.ts). */
static napi_value frames(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(8);
    struct cw_arena a = {0};
    uint32_t *entries, *places, *keys, count = 0;
    uint8_t *preimages, *digests;
    size_t length[5];
    const char *fault = argc < 8 ? "expected an arena" : cw_arena_from(env, argv[0], argv[1], &a);
    if (fault) return fail(env, fault);
    napi_get_value_uint32(env, argv[3], &count);
    if (!cw_view(env, argv[2], napi_uint32_array, &entries, &length[0]) || !cw_view(env, argv[4], napi_uint32_array, &places, &length[1]) ||
        !cw_view(env, argv[5], napi_uint32_array, &keys, &length[2]) || !cw_view(env, argv[6], napi_uint8_array, &preimages, &length[3]) ||
        !cw_view(env, argv[7], napi_uint8_array, &digests, &length[4]) || length[0] < count || length[1] != 3 || length[2] < count ||
        length[3] / CW_ROOT_PREIMAGE_BYTES < count || length[4] / CW_HASH_BYTES < count)
        return fail(env, "merkleFrames: expected entries, places, and room for a key, 64 bytes and a digest of each");
    const size_t rows_end = (size_t)places[0] + 4 * CW_BLOCK_LEAVES;
    if (places[0] % 4 || rows_end > places[2] || places[1] > places[2]) return fail(env, "merkleFrames: expected places inside an entry");
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = UINT32_MAX;
        if (entries[i] % 4 || (size_t)entries[i] + places[2] > a.bytes) continue;
        const uint8_t *entry = a.base + entries[i];
        keys[i] = cw_merkle_frame(&a, (const uint32_t *)(entry + places[0]), entry + places[1], preimages + (size_t)i * CW_ROOT_PREIMAGE_BYTES,
                                  digests + (size_t)i * CW_HASH_BYTES);
    }
    return 0;
}
/* merkleHasher() -> what hashes here, for people */
static napi_value hasher(napi_env env, napi_callback_info info) {
    (void)info;
    napi_value result;
    napi_create_string_utf8(env, cw_merkle_hasher(), NAPI_AUTO_LENGTH, &result);
    return result;
}

void cw_merkle_register(napi_env env, napi_value exports) {
    static const struct cw_function functions[] = {{"merkleLeaves", hash_leaves}, {"merkleNodes", hash_nodes}, {"merkleFrames", frames}, {"merkleHasher", hasher}};
    cw_export(env, exports, 0, functions, sizeof functions / sizeof *functions);
}
