/* The Node-API binding of the batch signer (../kernel/sign.h). A signer is an external value of the environment that made it: its
 * key is overwritten when it is closed, when it is collected, or when the environment ends, whichever is first. */
#define NAPI_VERSION 8
#include <stdlib.h>
#include "claim_digests.h"
#include "claimwire_kernel.h"
#include "node_values.h"
#include "sign.h"

/* What an external value points at. Only this file makes externals, so any is one. */
struct held {
    struct cw_signer *signer; /* NULL once it is closed */
};

static napi_value fail(napi_env env, const char *message) { return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", message); }
/* Reads `count` arguments. Returns the environment's thread, or NULL and throws where start() was not called. */
static struct cw_thread *called(napi_env env, napi_callback_info info, size_t count, napi_value *argv) {
    void *data = 0;
    size_t argc = count;
    napi_get_cb_info(env, info, &argc, argv, 0, &data);
    struct cw_thread *thread = *(struct cw_thread **)data;
    if (!thread) fail(env, "signer: expected start() before");
    return thread;
}
static int bytes_at_least(napi_env env, napi_value value, size_t wanted, uint8_t **data) {
    size_t length;
    return cw_view(env, value, napi_uint8_array, data, &length) && length >= wanted;
}
static struct held *held_of(napi_env env, napi_value value) {
    void *data = 0;
    return napi_get_value_external(env, value, &data) == napi_ok ? data : 0;
}

static void finalize(napi_env env, void *data, void *hint) {
    (void)env, (void)hint;
    struct held *held = data;
    cw_signer_free(held->signer);
    free(held);
}
/* signerOpen(privateKey, blind) -> signer; undefined when the key is no key, or there is no memory */
static napi_value signer_open(napi_env env, napi_callback_info info) {
    napi_value argv[2], result = 0;
    uint8_t *key, *blind;
    if (!called(env, info, 2, argv)) return 0;
    if (!bytes_at_least(env, argv[0], 32, &key) || !bytes_at_least(env, argv[1], 32, &blind)) return fail(env, "signerOpen: expected two Uint8Arrays of 32 bytes");
    struct held *held = calloc(1, sizeof *held);
    if (!held) return 0;
    held->signer = cw_signer_new(key, blind);
    if (held->signer && napi_create_external(env, held, finalize, 0, &result) == napi_ok) return result;
    finalize(env, held, 0);
    return 0;
}
/* signerClose(signer): from now on it is of no use. */
static napi_value signer_close(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    if (!called(env, info, 1, argv)) return 0;
    struct held *held = held_of(env, argv[0]);
    if (!held) return fail(env, "signerClose: expected a signer");
    cw_signer_free(held->signer);
    held->signer = 0;
    return 0;
}
static struct cw_signer *open_signer(napi_env env, napi_value value) {
    struct held *held = held_of(env, value);
    if (!held || !held->signer) fail(env, "signer: expected one that is open");
    return held ? held->signer : 0;
}
/* signerPublic(signer, key): 33 bytes */
static napi_value signer_public(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    uint8_t *key;
    struct cw_signer *signer;
    if (!called(env, info, 2, argv) || !(signer = open_signer(env, argv[0]))) return 0;
    if (!bytes_at_least(env, argv[1], 33, &key)) return fail(env, "signerPublic: expected a Uint8Array of 33 bytes");
    cw_signer_public(signer, key);
    return 0;
}
/* signerNote(signer) -> what the system refused to do for the key's memory, or '' */
static napi_value signer_note(napi_env env, napi_callback_info info) {
    napi_value argv[1], result = 0;
    struct cw_signer *signer;
    if (!called(env, info, 1, argv) || !(signer = open_signer(env, argv[0]))) return 0;
    napi_create_string_utf8(env, cw_signer_note(signer), NAPI_AUTO_LENGTH, &result);
    return result;
}
static napi_value boolean(napi_env env, int value) {
    napi_value result = 0;
    napi_get_boolean(env, value != 0, &result);
    return result;
}
/* signDigests(signer, digests, signatures) -> whether the signatures passed their check; otherwise none is written. 32 bytes
 * and 64 each, at most CW_SIGN_MAX of them. */
static napi_value sign_digests(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    uint8_t *digests, *signatures;
    size_t length;
    struct cw_signer *signer;
    struct cw_thread *thread = called(env, info, 3, argv);
    if (!thread || !(signer = open_signer(env, argv[0]))) return 0;
    if (!cw_view(env, argv[1], napi_uint8_array, &digests, &length) || length % 32 || length / 32 > CW_SIGN_MAX || !bytes_at_least(env, argv[2], 2 * length, &signatures))
        return fail(env, "signDigests: expected at most 256 digests of 32 bytes, and room for 64 bytes each");
    return boolean(env, cw_sign_batch(thread, signer, (uint32_t)(length / 32), digests, signatures));
}
/* signClaims(signer, claims, ledgerChannelIds, areLink, count) -> the same for whole claims, back to back, in place */
static napi_value sign_claims(napi_env env, napi_callback_info info) {
    napi_value argv[5];
    uint8_t *claims, *ids, *are_link, digests[CW_SIGN_MAX * 32], signatures[CW_SIGN_MAX * 64];
    uint32_t count;
    struct cw_signer *signer;
    struct cw_thread *thread = called(env, info, 5, argv);
    if (!thread || !(signer = open_signer(env, argv[0]))) return 0;
    if (napi_get_value_uint32(env, argv[4], &count) != napi_ok || count > CW_SIGN_MAX || !bytes_at_least(env, argv[1], CW_CLAIM_BYTES * (size_t)count, &claims) ||
        !bytes_at_least(env, argv[2], 32 * (size_t)count, &ids) || !bytes_at_least(env, argv[3], count, &are_link))
        return fail(env, "signClaims: expected 93, 32 and 1 bytes a claim, of at most 256");
    cw_claim_digests(count, claims, ids, are_link, digests);
    if (!cw_sign_batch(thread, signer, count, digests, signatures)) return boolean(env, 0);
    for (uint32_t i = 0; i < count; i++) memcpy(claims + CW_CLAIM_BYTES * (size_t)i + CW_CLAIM_SIGNATURE, signatures + 64 * (size_t)i, 64);
    return boolean(env, 1);
}

void cw_sign_register(napi_env env, napi_value exports, struct cw_thread **thread) {
    static const struct cw_function functions[] = {
        {"signerOpen", signer_open}, {"signerClose", signer_close}, {"signerPublic", signer_public}, {"signerNote", signer_note},
        {"signDigests", sign_digests}, {"signClaims", sign_claims}};
    cw_export(env, exports, thread, functions, sizeof functions / sizeof *functions);
}
