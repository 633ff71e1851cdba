/* The Node-API binding of the kernel. Loaded in the main thread and in workers alike: its arena, cw_thread and
 * throw-away signer belong to the environment; the rest is global to the process and started by cw_start. Hot calls
 * (verifySlots, verifySlot) take integers only. JavaScript is trusted to attach the right arena, so sizes are checked
 * once, by attach. */
#define _GNU_SOURCE /* CLOCK_THREAD_CPUTIME_ID */
#define NAPI_VERSION 8
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "claimwire_kernel.h"
#include "throwaway_sign.h"
#include "node_values.h"

struct instance {
    struct cw_arena arena;
    struct cw_thread *thread;
    napi_ref arena_ref;
    struct cw_throwaway_key *throwaway_keys;
    uint32_t throwaway_count;
};

static struct instance *instance_of(napi_env env) {
    void *data = 0;
    napi_get_instance_data(env, &data);
    return data;
}
static int bytes_of(napi_env env, napi_value value, uint8_t **data, size_t *length) { return cw_view(env, value, napi_uint8_array, data, length); }

/* start(cacheBytes): the first call in a process decides. Throws when CLAIMWIRE_KERNEL asks for what this CPU lacks. */
static napi_value start(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    double bytes = 0;
    if (argc > 0) napi_get_value_double(env, argv[0], &bytes);
    const char *message = cw_start(bytes > 0 ? (size_t)bytes : (size_t)256 << 20);
    if (message) return cw_throw(env, "ERR_CLAIMWIRE_KERNEL", message);
    struct instance *self = instance_of(env);
    if (!self->thread) self->thread = cw_thread_new();
    if (!self->thread) return cw_throw(env, "ERR_CLAIMWIRE_KERNEL", "kernel: expected memory and at most 256 threads");
    return 0;
}
/* attach(arena, layout): the arena whose slots this thread verifies, signs and gathers from. */
static napi_value attach(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(2);
    struct instance *self = instance_of(env);
    struct cw_arena a = {0};
    const char *fault = !self->thread ? "expected start() before" : argc < 2 ? "expected an arena and its layout" : cw_arena_from(env, argv[0], argv[1], &a);
    if (fault) return cw_throw(env, "ERR_CLAIMWIRE_ARENA", fault);
    if (self->arena_ref) napi_delete_reference(env, self->arena_ref);
    napi_create_reference(env, argv[0], 1, &self->arena_ref);
    self->arena = a;
    return 0;
}
/* verifySlots(first, count) -> verdicts written */
static napi_value verify_slots(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(2);
    napi_value result;
    uint32_t first = 0, count = 0;
    struct instance *self = instance_of(env);
    if (!self->arena.base || argc < 2) return cw_throw(env, "ERR_CLAIMWIRE_ARENA", "verifySlots: expected attach() before, and two integers");
    napi_get_value_uint32(env, argv[0], &first);
    napi_get_value_uint32(env, argv[1], &count);
    napi_create_uint32(env, cw_verify_slots(self->thread, &self->arena, first, count), &result);
    return result;
}
/* verifySlot(sequence) -> verdict */
static napi_value verify_slot(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    napi_value result;
    uint32_t sequence = 0;
    struct instance *self = instance_of(env);
    if (!self->arena.base || argc < 1) return cw_throw(env, "ERR_CLAIMWIRE_ARENA", "verifySlot: expected attach() before, and an integer");
    napi_get_value_uint32(env, argv[0], &sequence);
    napi_create_int32(env, cw_verify_slot(self->thread, &self->arena, sequence), &result);
    return result;
}
/* verifyMany(digests, signatures, keys, verdicts, path): path 0 batch, 1 slow, 2 single, 3 complete; verdicts.length tuples */
static napi_value verify_many(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(5);
    size_t length[4];
    uint8_t *data[4];
    uint32_t path = 0;
    struct instance *self = instance_of(env);
    if (!self->thread) return cw_throw(env, "ERR_CLAIMWIRE_KERNEL", "verifyMany: expected start() before");
    for (int i = 0; i < 4; i++)
        if (argc < 4 || !bytes_of(env, argv[i], &data[i], &length[i])) return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "verifyMany: expected four Uint8Arrays");
    if (argc > 4) napi_get_value_uint32(env, argv[4], &path);
    const size_t n = length[3];
    if (length[0] < 32 * n || length[1] < 64 * n || length[2] < 33 * n || path > CW_PATH_COMPLETE)
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "verifyMany: expected 32, 64 and 33 bytes a verdict, and a path of 0..3");
    cw_verify_many(self->thread, (enum cw_path)path, n, data[0], data[1], data[2], data[3]);
    return 0;
}
static napi_value key_valid(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    size_t length;
    napi_value result;
    uint8_t *key;
    if (argc < 1 || !bytes_of(env, argv[0], &key, &length)) return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "keyValid: expected a Uint8Array");
    napi_get_boolean(env, length == 33 && cw_key_valid(key), &result);
    return result;
}
/* stats(numbers): fills a Float64Array, in the order of verify/kernel.ts. */
static napi_value stats(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    size_t count;
    double *numbers;
    uint64_t values[CW_STATS];
    if (argc < 1 || !cw_view(env, argv[0], napi_float64_array, &numbers, &count) || count != CW_STATS)
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "stats: expected a Float64Array with a place for each");
    cw_read_stats((struct cw_stats *)values);
    for (size_t i = 0; i < CW_STATS; i++) numbers[i] = (double)values[i];
    return 0;
}
/* forceTables(kind): verify/kernel.ts, TABLE_KINDS; -1 for what keys earn */
static napi_value force_tables(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    int32_t kind = -1;
    if (!instance_of(env)->thread || argc < 1 || napi_get_value_int32(env, argv[0], &kind) != napi_ok || kind < -1 || kind > (int32_t)CW_TABLE_NONE)
        return cw_throw(env, "ERR_CLAIMWIRE_KERNEL", "forceTables: expected start() before, and a kind");
    cw_force_tables(instance_of(env)->thread, kind);
    return 0;
}
/* limitTables(bytes): what key tables may use from now on */
static napi_value limit_tables(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    double bytes = 0;
    if (!instance_of(env)->thread || argc < 1) return cw_throw(env, "ERR_CLAIMWIRE_KERNEL", "limitTables: expected start() before, and a number");
    napi_get_value_double(env, argv[0], &bytes);
    if (!(bytes >= 0 && bytes < 1e15)) return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "limitTables: expected bytes");
    cw_limit_tables((size_t)bytes);
    return 0;
}
/* listKeys(first, keys, kinds, heat) -> how many, or -1: Uint8Arrays of 33 bytes and of one a key, and a Uint32Array */
static napi_value list_keys(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(4);
    size_t keys_length, kinds_length, heat_length;
    uint8_t *keys, *kinds;
    uint32_t *heat, first = 0;
    napi_value result;
    if (!instance_of(env)->thread || argc < 4 || !bytes_of(env, argv[1], &keys, &keys_length) || !bytes_of(env, argv[2], &kinds, &kinds_length) ||
        !cw_view(env, argv[3], napi_uint32_array, &heat, &heat_length) || keys_length < 33 * CW_LISTED || kinds_length < CW_LISTED || heat_length < CW_LISTED)
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "listKeys: expected start() before, and room for the keys of a call");
    napi_get_value_uint32(env, argv[0], &first);
    napi_create_int32(env, cw_list_keys(instance_of(env)->thread, first, keys, kinds, heat), &result);
    return result;
}
/* warmKeys(kind, keys) -> whether there was room for all their tables */
static napi_value warm_keys(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(2);
    size_t length;
    uint8_t *keys;
    int32_t kind = -1;
    napi_value result;
    if (!instance_of(env)->thread || argc < 2 || napi_get_value_int32(env, argv[0], &kind) != napi_ok || !bytes_of(env, argv[1], &keys, &length) || length % 33)
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "warmKeys: expected start() before, a kind, and 33 bytes a key");
    napi_get_boolean(env, cw_warm_keys(instance_of(env)->thread, kind, (uint32_t)(length / 33), keys), &result);
    return result;
}
static napi_value kernel_name(napi_env env, napi_callback_info info) {
    (void)info;
    napi_value v;
    napi_create_string_utf8(env, cw_kernel_name(), NAPI_AUTO_LENGTH, &v);
    return v;
}
static napi_value kernel_note(napi_env env, napi_callback_info info) {
    (void)info;
    napi_value v;
    napi_create_string_utf8(env, cw_kernel_note(), NAPI_AUTO_LENGTH, &v);
    return v;
}
/* throwawaySigner(privateKeys, nonces): 32 bytes of each for every key row, none of them 0 mod n. For THROW-AWAY keys of
 * load generation only, never for one from a key file: it takes variable time, and reusing a nonce gives away the key. */
static napi_value throwaway_signer(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(2);
    size_t keys_length, length;
    uint8_t *keys, *seeds;
    struct instance *self = instance_of(env);
    if (argc < 2 || !self->thread || !bytes_of(env, argv[0], &keys, &keys_length) || !bytes_of(env, argv[1], &seeds, &length))
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "throwawaySigner: expected start() before, and two Uint8Arrays");
    if (keys_length != length || !length || length % 32 || length / 32 > UINT32_MAX)
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "throwawaySigner: expected 32 bytes of key and as many of nonce a key row");
    const uint32_t count = (uint32_t)(length / 32);
    struct cw_throwaway_key *prepared = aligned_alloc(64, (count * sizeof *prepared + 63) & ~(size_t)63);
    if (!prepared) return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "throwawaySigner: expected memory");
    if (cw_throwaway_keys(prepared, count, keys, seeds) != count) {
        free(prepared);
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "throwawaySigner: expected keys and nonces that are not 0 modulo the order");
    }
    free(self->throwaway_keys);
    self->throwaway_keys = prepared;
    self->throwaway_count = count;
    return 0;
}
/* throwawaySignSlots(first, count) -> how many were signed: not those whose channel or key row is out of range */
static napi_value throwaway_sign_slots(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(2);
    napi_value result;
    uint32_t first = 0, count = 0;
    struct instance *self = instance_of(env);
    if (argc < 2 || !self->arena.base || !self->throwaway_keys) return cw_throw(env, "ERR_CLAIMWIRE_ARENA", "throwawaySignSlots: expected attach() and throwawaySigner() before");
    napi_get_value_uint32(env, argv[0], &first);
    napi_get_value_uint32(env, argv[1], &count);
    napi_create_uint32(env, cw_throwaway_sign_slots(self->thread, &self->arena, first, count, self->throwaway_keys, self->throwaway_count), &result);
    return result;
}
/* throwawayKey(privateKey) -> 33 bytes */
static napi_value throwaway_key(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    size_t length;
    napi_value buffer, result;
    uint8_t *d;
    void *key;
    if (napi_create_arraybuffer(env, 33, &key, &buffer) != napi_ok) return 0;
    if (argc < 1 || !bytes_of(env, argv[0], &d, &length) || length != 32 || !cw_throwaway_public(key, d))
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "throwawayKey: expected 32 bytes that are not 0 modulo the order");
    napi_create_typedarray(env, napi_uint8_array, 33, buffer, 0, &result);
    return result;
}

/* threadCpuUs() -> microseconds this thread has run: the cost of a stage, even where other programs share the core. */
static napi_value thread_cpu_us(napi_env env, napi_callback_info info) {
    (void)info;
    napi_value us = 0;
    struct timespec t = {0, 0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    napi_create_double(env, (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3, &us);
    return us;
}

static void finalize(napi_env env, void *data, void *hint) {
    (void)env, (void)hint;
    struct instance *self = data;
    if (self->thread) cw_thread_free(self->thread);
    free(self->throwaway_keys);
    free(self);
}
NAPI_MODULE_INIT() {
    struct instance *self = calloc(1, sizeof *self);
    if (!self) return cw_throw(env, "ERR_CLAIMWIRE_KERNEL", "kernel: expected memory");
    napi_set_instance_data(env, self, finalize, 0);
    static const struct cw_function functions[] = {
        {"start", start}, {"attach", attach}, {"verifySlots", verify_slots}, {"verifySlot", verify_slot},
        {"verifyMany", verify_many}, {"keyValid", key_valid}, {"stats", stats}, {"limitTables", limit_tables}, {"forceTables", force_tables},
        {"listKeys", list_keys}, {"warmKeys", warm_keys}, {"kernelName", kernel_name}, {"kernelNote", kernel_note}, {"throwawaySigner", throwaway_signer},
        {"throwawaySignSlots", throwaway_sign_slots}, {"threadCpuUs", thread_cpu_us}, {"throwawayKey", throwaway_key}};
    cw_export(env, exports, 0, functions, sizeof functions / sizeof *functions);
    cw_udp_register(env, exports, &self->arena);
    cw_path_register(env, exports);
    cw_rows_register(env, exports);
    cw_merkle_register(env, exports);
    cw_hiccups_register(env, exports);
    cw_schedule_register(env, exports);
    cw_sign_register(env, exports, &self->thread);
    return exports;
}
