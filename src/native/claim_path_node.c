/* The Node-API binding of claim_path.c. The memory is JavaScript's: typed arrays, referenced for as long as the object lives.
 * JavaScript is trusted to give the arena's true layout (tools/kernel-layout.ts); lengths are checked once, here. */
#define NAPI_VERSION 8
#include <stdlib.h>
#include "claim_path.h"
#include "node_values.h"
#include "rows_generated.h"

#define VIEWS_MAX 11

struct held {
    union {
        struct cw_claim_path path;
        struct cw_group group;
    } as;
    napi_ref refs[VIEWS_MAX];
    uint32_t count;
};

static napi_value fail(napi_env env, const char *message) { return cw_throw(env, "ERR_CLAIMWIRE_PATH", message); }
static void release(napi_env env, void *data, void *hint) {
    (void)hint;
    struct held *h = data;
    for (uint32_t i = 0; i < h->count; i++) napi_delete_reference(env, h->refs[i]);
    free(h);
}
/* The elements of a typed array of the wanted type with `at_least` elements, and in `count`, if given, how many there are.
 * `h` keeps the array alive. 0 for anything else. */
static void *view_of(napi_env env, napi_value value, napi_typedarray_type wanted, size_t at_least, struct held *h, uint32_t *count) {
    size_t length;
    void *data;
    if (!cw_view(env, value, wanted, &data, &length) || length < at_least) return 0;
    if (napi_create_reference(env, value, 1, &h->refs[h->count++]) != napi_ok) return 0;
    if (count) *count = (uint32_t)length;
    return data;
}
/* The object for JavaScript, or where it is not whole an error with `message`. */
static napi_value wrapped(napi_env env, struct held *h, int is_whole, const char *message) {
    napi_value external = 0;
    if (is_whole) napi_create_external(env, h, release, 0, &external);
    else release(env, h, 0), fail(env, message);
    return external;
}
static struct held *held_of(napi_env env, napi_value value) {
    void *data = 0;
    return napi_get_value_external(env, value, &data) == napi_ok ? data : 0;
}

/* pathOpen(arena, layout, filterCells, filterPlaces, knownCells or null, knownSeed) -> path. filterPlaces: the last four fields of
 * struct cw_filter; the last two: struct cw_standing. */
static napi_value path_open(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(6);
    struct held *h = calloc(1, sizeof *h);
    if (!h) return fail(env, "pathOpen: expected memory");
    struct cw_claim_path *p = &h->as.path;
    const uint32_t *places = 0;
    napi_valuetype cells = napi_null;
    if (argc == 6) napi_typeof(env, argv[4], &cells);
    const int is_whole = argc == 6 && !cw_arena_from(env, argv[0], argv[1], &p->arena) && view_of(env, argv[0], napi_uint8_array, 0, h, 0) &&
                         (p->filter.cells = view_of(env, argv[2], napi_uint32_array, CW_FILTER_CELLS, h, 0)) &&
                         (places = view_of(env, argv[3], napi_uint32_array, 4, h, 0)) &&
                         (cells == napi_null || (p->standing.cells = view_of(env, argv[4], napi_uint32_array, CW_STANDING_CELLS, h, 0)));
    if (is_whole) memcpy(&p->filter.r_start, places, 16);
    if (is_whole) napi_get_value_uint32(env, argv[5], &p->standing.seed);
    return wrapped(env, h, is_whole, "pathOpen: expected the arena, its layout, the filter's cells and places, known pairs");
}
/* pathGroup(journal, rowHeads, rowNext, rowOfRecord, ackWords, ackRecords, ackNext, ackHeads, counts, leafHeads, leafNext) -> group: the fields of
 * struct cw_group; the last two may be left out. */
static napi_value path_group(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(11);
    struct held *h = calloc(1, sizeof *h);
    if (!h) return fail(env, "pathGroup: expected memory");
    struct cw_group *g = &h->as.group;
    const napi_typedarray_type words = napi_uint32_array;
    napi_valuetype leaves = napi_undefined;
    if (argc == 11) napi_typeof(env, argv[9], &leaves);
    const int is_whole = argc >= 9 && (g->row_heads = view_of(env, argv[1], words, CW_ROW_HEADS, h, 0)) &&
                         (g->row_of_record = view_of(env, argv[3], words, 1, h, &g->records_max)) &&
                         (g->row_next = view_of(env, argv[2], words, g->records_max, h, 0)) &&
                         (g->journal = view_of(env, argv[0], napi_uint8_array, CW_GROUP_HEADER_BYTES + (size_t)g->records_max * CW_RECORD_BYTES, h, 0)) &&
                         (g->ack_records = view_of(env, argv[5], words, 1, h, &g->acks_max)) &&
                         (g->ack_words = view_of(env, argv[4], words, (size_t)g->acks_max * CW_SOURCE_WORDS, h, 0)) &&
                         (g->ack_next = view_of(env, argv[6], words, g->acks_max, h, 0)) &&
                         (g->ack_heads = view_of(env, argv[7], words, g->records_max, h, 0)) &&
                         (g->counts = view_of(env, argv[8], words, CW_COUNTS, h, 0)) &&
                         (leaves == napi_undefined || ((g->leaf_heads = view_of(env, argv[9], words, CW_ROW_HEADS, h, 0)) &&
                                                       (g->leaf_next = view_of(env, argv[10], words, g->records_max, h, 0))));
    return wrapped(env, h, is_whole, "pathGroup: expected the journal's bytes and eight Uint32Arrays, as long as each other asks for");
}
/* pathAdmit(path, bytes, offset, end, source, next, nowSeconds, free) -> claims */
static napi_value path_admit(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(8);
    size_t length = 0;
    napi_value result;
    void *bytes = 0, *source = 0;
    uint32_t offset = 0, end = 0, next = 0, now = 0, free = 0;
    struct held *h = argc < 8 ? 0 : held_of(env, argv[0]);
    if (!h || !cw_view(env, argv[1], napi_uint8_array, &bytes, &length)) return fail(env, "pathAdmit: expected a path and bytes");
    napi_get_value_uint32(env, argv[2], &offset);
    napi_get_value_uint32(env, argv[3], &end);
    if (end > length || offset > end) return fail(env, "pathAdmit: expected a range inside the bytes");
    if (!cw_view(env, argv[4], napi_uint32_array, &source, &length) || length < CW_SOURCE_WORDS)
        return fail(env, "pathAdmit: expected five source words");
    napi_get_value_uint32(env, argv[5], &next);
    napi_get_value_uint32(env, argv[6], &now);
    napi_get_value_uint32(env, argv[7], &free);
    napi_create_uint32(env, cw_path_admit(&h->as.path, (uint8_t *)bytes + offset, end - offset, source, next, now, free), &result);
    return result;
}
/* pathStage(path, open, syncing or null, next, end, nowSeconds) -> claims */
static napi_value path_stage(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(6);
    napi_value result;
    uint32_t next = 0, end = 0, now = 0;
    struct held *h = argc < 6 ? 0 : held_of(env, argv[0]), *open = argc < 6 ? 0 : held_of(env, argv[1]), *syncing = argc < 6 ? 0 : held_of(env, argv[2]);
    if (!h || !open) return fail(env, "pathStage: expected a path and a group");
    napi_get_value_uint32(env, argv[3], &next);
    napi_get_value_uint32(env, argv[4], &end);
    napi_get_value_uint32(env, argv[5], &now);
    napi_create_uint32(env, cw_path_stage(&h->as.path, &open->as.group, syncing ? &syncing->as.group : 0, next, end, now), &result);
    return result;
}
/* pathCommit(path, group) -> claims left */
static napi_value path_commit(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(2);
    napi_value result;
    struct held *h = argc < 2 ? 0 : held_of(env, argv[0]), *group = argc < 2 ? 0 : held_of(env, argv[1]);
    if (!h || !group) return fail(env, "pathCommit: expected a path and a group");
    napi_create_uint32(env, cw_path_commit(&h->as.path, &group->as.group), &result);
    return result;
}

/* pathStageLeaves(path, open, syncing or null, next, end, nowSeconds, entry, frame, accepted) -> leaves; `accepted`: two words. */
static napi_value path_stage_leaves(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(9);
    napi_value result;
    size_t length = 0;
    void *accepted = 0;
    uint32_t next = 0, end = 0, now = 0, entry = 0, frame = 0;
    struct held *h = argc < 9 ? 0 : held_of(env, argv[0]), *open = argc < 9 ? 0 : held_of(env, argv[1]), *syncing = argc < 9 ? 0 : held_of(env, argv[2]);
    if (!h || !open || !open->as.group.leaf_heads || (syncing && !syncing->as.group.leaf_heads))
        return fail(env, "pathStageLeaves: expected a path and groups with leaves");
    if (!cw_view(env, argv[8], napi_uint32_array, &accepted, &length) || length < 2) return fail(env, "pathStageLeaves: expected two words");
    napi_get_value_uint32(env, argv[3], &next);
    napi_get_value_uint32(env, argv[4], &end);
    napi_get_value_uint32(env, argv[5], &now);
    napi_get_value_uint32(env, argv[6], &entry);
    napi_get_value_uint32(env, argv[7], &frame);
    const uint32_t count = cw_path_stage_leaves(&h->as.path, &open->as.group, syncing ? &syncing->as.group : 0, next, end, now, entry, frame, accepted);
    napi_create_uint32(env, count, &result);
    return result;
}
/* pathEnterLeaves(path, bytes, offset, size, source, at, entry, count, next, nowSeconds, free) -> whether they were entered: the frame of `size` bytes at
 * `offset`, from the source at `source[at]`, into the pool's entry at byte `entry` of the arena. */
static napi_value path_enter_leaves(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(11);
    napi_value result;
    size_t length = 0, words = 0;
    void *bytes = 0, *source = 0;
    uint32_t offset = 0, at = 0, next = 0, now = 0, free = 0;
    struct cw_leaf_frame frame = {0};
    struct held *h = argc < 11 ? 0 : held_of(env, argv[0]);
    if (!h || !cw_view(env, argv[1], napi_uint8_array, &bytes, &length) || !cw_view(env, argv[4], napi_uint32_array, &source, &words))
        return fail(env, "pathEnterLeaves: expected a path, bytes and a source");
    napi_get_value_uint32(env, argv[2], &offset);
    napi_get_value_uint32(env, argv[3], &frame.size);
    napi_get_value_uint32(env, argv[5], &at);
    napi_get_value_uint32(env, argv[6], &frame.entry);
    napi_get_value_uint32(env, argv[7], &frame.count);
    napi_get_value_uint32(env, argv[8], &next);
    napi_get_value_uint32(env, argv[9], &now);
    napi_get_value_uint32(env, argv[10], &free);
    if (offset > length || frame.size > length - offset || frame.count > CW_MERKLE_BLOCK_LEAVES ||
        frame.size < CW_MERKLE_HEAD_BYTES + frame.count * CW_MERKLE_LEAF_BYTES)
        return fail(env, "pathEnterLeaves: expected a whole frame");
    if (words < CW_SOURCE_WORDS || at > words - CW_SOURCE_WORDS) return fail(env, "pathEnterLeaves: expected five source words");
    if (frame.entry % 4 || (size_t)frame.entry + CW_ENTRY_FRAME + frame.size > h->as.path.arena.bytes)
        return fail(env, "pathEnterLeaves: expected an entry of the arena");
    frame.bytes = (const uint8_t *)bytes + offset;
    frame.source = (const uint32_t *)source + at;
    napi_get_boolean(env, cw_path_enter_leaves(&h->as.path, &frame, next, now, free), &result);
    return result;
}
/* pathCommitLeaves(path, group, rooted, frameOffsets, frames, base, lane, segment) -> records left: the fields of struct cw_leaf_places. */
static napi_value path_commit_leaves(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(8);
    napi_value result;
    size_t words = 0, offsets = 0;
    struct cw_leaf_places places = {0};
    struct held *h = argc < 8 ? 0 : held_of(env, argv[0]), *group = argc < 8 ? 0 : held_of(env, argv[1]);
    if (!h || !group) return fail(env, "pathCommitLeaves: expected a path and a group");
    if (!cw_view(env, argv[2], napi_uint32_array, &places.rooted, &words) || words / CW_ROOTED_ROW_WORDS < h->as.path.arena.rows_max ||
        !cw_view(env, argv[3], napi_uint32_array, &places.frame_offsets, &offsets))
        return fail(env, "pathCommitLeaves: expected the words of all rows, and the frames' offsets");
    napi_get_value_uint32(env, argv[4], &places.frames);
    napi_get_value_uint32(env, argv[5], &places.base);
    napi_get_value_uint32(env, argv[6], &places.lane);
    napi_get_value_uint32(env, argv[7], &places.segment);
    if (places.frames > offsets) return fail(env, "pathCommitLeaves: expected an offset for each frame");
    napi_create_uint32(env, cw_path_commit_leaves(&h->as.path, &group->as.group, &places), &result);
    return result;
}

void cw_path_register(napi_env env, napi_value exports) {
    static const struct cw_function functions[] = {
        {"pathOpen", path_open}, {"pathGroup", path_group}, {"pathAdmit", path_admit}, {"pathStage", path_stage}, {"pathCommit", path_commit},
        {"pathEnterLeaves", path_enter_leaves}, {"pathStageLeaves", path_stage_leaves}, {"pathCommitLeaves", path_commit_leaves}};
    cw_export(env, exports, 0, functions, sizeof functions / sizeof *functions);
}
