/* What the addon's parts (addon.c, claim_path_node.c, hiccups.c, merkle_node.c, rows.c, sign_node.c, udp_node.c, schedule_node.c) share: errors, arguments, typed arrays, the arena,
 * and the functions they export. */
#ifndef CLAIMWIRE_NODE_VALUES_H
#define CLAIMWIRE_NODE_VALUES_H
#include <node_api.h>
#include <string.h>
#include "arena.h"

static inline napi_value cw_throw(napi_env env, const char *code, const char *message) {
    napi_throw_error(env, code, message);
    return 0;
}
/* Gets the elements of a typed array of the wanted type, and how many there are. Returns 0 for anything else. */
static inline int cw_view(napi_env env, napi_value value, napi_typedarray_type wanted, void *data, size_t *count) {
    napi_typedarray_type type;
    return napi_get_typedarray_info(env, value, &type, count, data, 0, 0) == napi_ok && type == wanted;
}
/* Fills `a` from the arena's bytes and its layout (ring/arena-layout.ts). Returns 0, or what was expected. */
static inline const char *cw_arena_from(napi_env env, napi_value bytes, napi_value layout, struct cw_arena *a) {
    uint32_t *words;
    size_t count;
    if (!cw_view(env, bytes, napi_uint8_array, &a->base, &a->bytes) || !cw_view(env, layout, napi_uint32_array, &words, &count) || count != CW_ARENA_FIELDS)
        return "expected the arena's bytes and its layout";
    memcpy(&a->slots, words, 4 * CW_ARENA_FIELDS);
    return cw_arena_fault(a);
}
/* Declares the `count` arguments of the call at hand and reads them: argv[0..argc). For functions of `env` and `info`. */
#define CW_ARGUMENTS(count) \
    size_t argc = count; \
    napi_value argv[count]; \
    napi_get_cb_info(env, info, &argc, argv, 0, 0)

struct cw_function { const char *name; napi_callback call; };
static inline void cw_export(napi_env env, napi_value exports, void *data, const struct cw_function *functions, size_t count) {
    for (size_t i = 0; i < count; i++) {
        napi_value f;
        napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, data, &f);
        napi_set_named_property(env, exports, functions[i].name, f);
    }
}
/* Each adds a part's functions to the addon's exports, once per environment. UDP has functions on Linux only; `arena` is the
 * environment's own, which udpGather reads. */
void cw_path_register(napi_env env, napi_value exports);
void cw_rows_register(napi_env env, napi_value exports);
void cw_merkle_register(napi_env env, napi_value exports);
void cw_hiccups_register(napi_env env, napi_value exports);
void cw_schedule_register(napi_env env, napi_value exports);
/* `thread` is the environment's own, NULL before start(). */
struct cw_thread;
void cw_sign_register(napi_env env, napi_value exports, struct cw_thread **thread);
void cw_udp_register(napi_env env, napi_value exports, const struct cw_arena *arena);
#endif
