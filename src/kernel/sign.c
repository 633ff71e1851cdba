/* The signer's keys, its table and what leaves it: see sign.h. The work is in sign_vector.h, compiled for each instruction set; here is what is
 * done once for a key, once for a batch, or once in 2^128 signatures. */
#include "vector_scalar.h"
#include "jacobian.h"
#include "fe_power.h"
#define LANES 1
#include "sign_hash.h"
#include <stdatomic.h>
#include "claimwire_kernel.h"
#include "dispatch.h"
#include "modinv.h"
#include "slow.h"

struct cw_signer {
    struct cw_sign_key key;
    uint8_t public_key[33];
    const char *note;
};

static void keep_silent(const void *memory, size_t bytes) { (void)memory, (void)bytes; }
void (*cw_public)(const void *memory, size_t bytes) = keep_silent;

/* a^(p - 2); the exponent is 223 ones, 0, 22 ones, 0000, 1, 0, 11, 0, 1. */
void cw_fermat_p(uint64_t r[4], const uint64_t a[4]) {
    fe x, x2, t;
    fe_broadcast(&x, a);
    power_of_ones(&t, &x2, &x);
    square_times(&t, &t, 5), fe_mul(&t, &t, &x);
    square_times(&t, &t, 3), fe_mul(&t, &t, &x2);
    square_times(&t, &t, 2), fe_mul(&t, &t, &x);
    fe_normal(&t, &t);
    fe_element_words(r, &t);
}
/* a^(n - 2), four bits of the exponent at a time: the exponent is no secret, so which power is taken may depend on it. */
void cw_fermat_n(uint64_t r[4], const uint64_t a[4]) {
    sc power[16], t, constant;
    sc_broadcast(&constant, cw_r2);
    sc_from_words(&t, a, 1);
    sc_mul(&power[1], &t, &constant);
    for (int i = 2; i < 16; i++) sc_mul(&power[i], &power[i - 1], &power[1]);
    t = power[15]; /* n - 2 begins with ones */
    for (int bit = 248; bit >= 0; bit -= 4) {
        const unsigned digit = (unsigned)((cw_n_words[bit >> 6] - (bit < 64 ? 2 : 0)) >> (bit & 63)) & 15;
        for (int i = 0; i < 4; i++) sc_mul(&t, &t, &t);
        if (digit) sc_mul(&t, &t, &power[digit]);
    }
    sc_from_words(&constant, cw_one_words, 1);
    sc_mul(&t, &t, &constant);
    sc_normal(&t, &t);
    sc_element_words(r, &t);
    cw_wipe(power, sizeof power);
}
void cw_sign_nonce(const struct cw_sign_key *key, const uint64_t digest[4], uint32_t rejected, uint64_t nonce[4]) {
    uint32_t z[8], k[8];
    for (int i = 0; i < 8; i++) z[i] = (uint32_t)(digest[3 - i / 2] >> (i & 1 ? 0 : 32));
    sign_nonces(key, z, k, rejected);
    for (int i = 0; i < 4; i++) nonce[i] = (uint64_t)k[6 - 2 * i] << 32 | k[7 - 2 * i];
    cw_wipe(k, sizeof k);
}

/* The table of all signers: of each window, for each of the eight words of a point, that word of all rows. Public. */
static struct { uint64_t *rows; uint64_t start_x[4], start_y[4]; } shared;
/* b for the multiple b G of a signer's own blind b: any number that nobody knows a key for. SHA-256 of "claimwire signer". */
static const uint64_t start_words[4] = {0xCC2DBA69C5621596ULL, 0x4C70513EDB1A73E5ULL, 0x7BCC8E5F7B80CA78ULL, 0x093DAF8B14C67480ULL};
enum { FRESH, STARTING, DONE, FAILED };
static _Atomic int stage;

static int windows_of(int width) { return (256 + width - 1) / width; }
static size_t entries_of(int width) { return (size_t)1 << (width - 1); }
static size_t table_bytes(int width) { return (size_t)windows_of(width) * entries_of(width) * 64; }
static size_t room_bytes(int width) { return (entries_of(width) + 1) * (sizeof(struct jacobian) + sizeof(fe)); }

/* Canonical x and y of a point, from 1/z in words. */
static void affine(uint64_t x[4], uint64_t y[4], const struct jacobian *p, const uint64_t inverse[4]) {
    fe z, z2, t;
    fe_broadcast(&z, inverse);
    fe_sqr(&z2, &z);
    fe_mul(&t, &p->x, &z2);
    fe_normal(&t, &t);
    fe_element_words(x, &t);
    fe_mul(&z2, &z2, &z);
    fe_mul(&t, &p->y, &z2);
    fe_normal(&t, &t);
    fe_element_words(y, &t);
}
static void affine_alone(uint64_t x[4], uint64_t y[4], const struct jacobian *p) {
    uint64_t w[4];
    fe z;
    fe_normal(&z, &p->z);
    fe_element_words(w, &z);
    cw_inverse_p(w, w);
    affine(x, y, p, w);
}
static void start_at(struct jacobian *p, const uint64_t x[4], const uint64_t y[4]) {
    fe_broadcast(&p->x, x);
    fe_broadcast(&p->y, y);
    fe_broadcast(&p->z, cw_one_words);
}
/* One window: rows B, 3 B, 5 B, ... and for the next window 2^width B, which is the last row and B. */
static void build_window(uint64_t *window, size_t entries, uint64_t x[4], uint64_t y[4], void *room) {
    struct jacobian *row = room, twice;
    fe *product = (fe *)(row + entries + 1), px, py;
    uint64_t w[4], x2[4], y2[4];
    start_at(&row[0], x, y);
    jacobian_double(&twice, &row[0]);
    affine_alone(x2, y2, &twice);
    fe_broadcast(&px, x2);
    fe_broadcast(&py, y2);
    for (size_t i = 1; i < entries; i++) jacobian_add_affine(&row[i], &row[i - 1], &px, &py, 0);
    if (entries > 1) {
        fe_broadcast(&px, x);
        fe_broadcast(&py, y);
        jacobian_add_affine(&row[entries], &row[entries - 1], &px, &py, 0);
    } else row[entries] = twice;
    product[0] = row[0].z;
    for (size_t i = 1; i <= entries; i++) fe_mul(&product[i], &product[i - 1], &row[i].z);
    fe total, t;
    fe_normal(&total, &product[entries]);
    fe_element_words(w, &total);
    cw_inverse_p(w, w);
    fe_broadcast(&total, w);
    for (size_t i = entries + 1; i-- > 0;) {
        if (i) fe_mul(&t, &total, &product[i - 1]);
        else t = total;
        fe_mul(&total, &total, &row[i].z);
        fe_normal(&t, &t);
        fe_element_words(w, &t);
        affine(x2, y2, &row[i], w);
        if (i == entries) memcpy(x, x2, 32), memcpy(y, y2, 32);
        else
            for (int k = 0; k < 4; k++) window[(size_t)k * entries + i] = x2[k], window[(size_t)(4 + k) * entries + i] = y2[k];
    }
}
static int build_table(void) {
    const int width = cw_kernel->sign_width;
    uint64_t x[4], y[4];
    uint8_t *memory = cw_map(table_bytes(width)), *room = cw_map(room_bytes(width));
    if (memory && room) {
        memcpy(x, cw_generator_x, 32);
        memcpy(y, cw_generator_y, 32);
        for (int j = 0; j < windows_of(width); j++) build_window((uint64_t *)memory + (size_t)j * 8 * entries_of(width), entries_of(width), x, y, room);
        cw_slow_multiply_generator(shared.start_x, shared.start_y, start_words);
        shared.rows = (uint64_t *)memory;
    }
    cw_unmap(room, room_bytes(width));
    return shared.rows != 0;
}
/* The first signer of the process builds the table; others that come meanwhile wait for it, a millisecond. */
static int table_is_ready(void) {
    int expected = FRESH;
    if (atomic_compare_exchange_strong(&stage, &expected, STARTING)) atomic_store(&stage, build_table() ? DONE : FAILED);
    while (atomic_load(&stage) == STARTING) {}
    return atomic_load(&stage) == DONE;
}

const uint64_t *cw_sign_table(void) { return shared.rows; }

/* 1 for 0 < d < n, without a branch on d. */
static int in_range(const uint64_t d[4]) {
    uint64_t t[4], any = d[0] | d[1] | d[2] | d[3];
    int answer = cw_words_subtract(t, d, cw_n_words) & (int)((any | (0 - any)) >> 63);
    cw_public(&answer, sizeof answer);
    cw_wipe(t, sizeof t);
    return answer;
}
static void words_of_state(uint64_t w[4], const uint32_t state[8]) {
    for (int i = 0; i < 4; i++) w[i] = (uint64_t)state[6 - 2 * i] << 32 | state[7 - 2 * i];
}
/* What of RFC 6979's first HMAC is the same for all digests. */
static void start_nonces(struct cw_sign_key *key, const uint8_t d[32]) {
    struct sign_hmac zero;
    uint32_t none[8] = {0}, block[16];
    sign_hmac_key(&zero, none);
    for (int i = 0; i < 8; i++) {
        uint32_t word = 0;
        for (int j = 0; j < 4; j++) word = word << 8 | (4 * i + j ? d[4 * i + j - 1] : 0);
        block[i] = 0x01010101, block[8 + i] = word;
        key->again[i] = word | (i ? 0 : 0x01000000);
        key->outer[i] = zero.outer[i];
    }
    key->last_byte = d[31];
    sign_compress(key->inner, zero.inner, block);
    cw_wipe(block, sizeof block);
}
/* The blind b = SHA-256 of d || blind, mod n: hard to guess even where the caller's bytes are not random. */
static void make_blind(struct cw_sign_key *key, const uint8_t d[32], const uint8_t blind[32]) {
    uint32_t state[8], block[16];
    uint64_t less[4];
    for (int i = 0; i < 8; i++) state[i] = (uint32_t)(sha512_start[i] >> 32);
    for (int i = 0; i < 16; i++) {
        const uint8_t *from = (i < 8 ? d : blind) + 4 * (i & 7);
        block[i] = (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
    }
    sign_compress(state, state, block);
    for (int i = 0; i < 16; i++) block[i] = i == 0 ? 0x80000000 : i == 15 ? 512 : 0;
    sign_compress(state, state, block);
    words_of_state(key->blind, state);
    const uint64_t keep = 0 - cw_hidden((uint64_t)cw_words_subtract(less, key->blind, cw_n_words));
    for (int i = 0; i < 4; i++) key->blind[i] = less[i] ^ ((less[i] ^ key->blind[i]) & keep);
    cw_wipe(block, sizeof block);
    cw_wipe(state, sizeof state);
}
/* b G by the table's fixed start, then the public key by b. */
static void make_points(struct cw_signer *signer, void *scratch) {
    struct cw_sign_key *key = &signer->key;
    uint64_t b[4], x[4], y[4];
    memcpy(b, key->blind, 32);
    memcpy(key->blind, start_words, 32);
    memcpy(key->blind_x, shared.start_x, 32);
    memcpy(key->blind_y, shared.start_y, 32);
    cw_kernel->sign_multiply(key, shared.rows, b, x, y, scratch);
    memcpy(key->blind, b, 32);
    memcpy(key->blind_x, x, 32);
    memcpy(key->blind_y, y, 32);
    cw_kernel->sign_multiply(key, shared.rows, key->d, x, y, scratch);
    signer->public_key[0] = (uint8_t)(2 | (y[0] & 1));
    cw_words_to_be(signer->public_key + 1, x);
    cw_public(signer->public_key, sizeof signer->public_key);
    cw_wipe(b, sizeof b);
}
/* What a call may leave on the stack below its caller is overwritten. */
static __attribute__((noinline)) void wipe_stack(void) {
    uint8_t below[CW_SIGN_STACK];
    cw_wipe(below, sizeof below);
}

struct cw_signer *cw_signer_new(const uint8_t private_key[32], const uint8_t blind[32]) {
    uint64_t d[4];
    cw_words_from_be(d, private_key);
    const int is_good = in_range(d) && cw_kernel && table_is_ready();
    const char *note = "";
    struct cw_signer *signer = is_good ? cw_map_secret(sizeof *signer, &note) : 0;
    void *scratch = signer ? cw_map(cw_kernel->sign_scratch_bytes) : 0;
    if (signer && !scratch) cw_unmap_secret(signer, sizeof *signer), signer = 0;
    if (signer) {
        sc t, r2;
        memcpy(signer->key.d, d, 32);
        sc_from_words(&t, d, 1);
        sc_broadcast(&r2, cw_r2);
        sc_mul(&t, &t, &r2);
        memcpy(signer->key.d_montgomery, t.v, sizeof signer->key.d_montgomery);
        cw_wipe(&t, sizeof t);
        signer->note = note;
        start_nonces(&signer->key, private_key);
        make_blind(&signer->key, private_key, blind);
        make_points(signer, scratch);
        cw_unmap(scratch, cw_kernel->sign_scratch_bytes);
    }
    cw_wipe(d, sizeof d);
    wipe_stack();
    return signer;
}
void cw_signer_free(struct cw_signer *signer) {
    if (!signer) return;
    cw_wipe(signer, sizeof *signer);
    cw_unmap_secret(signer, sizeof *signer);
}
void cw_signer_public(const struct cw_signer *signer, uint8_t key[33]) { memcpy(key, signer->public_key, 33); }
const char *cw_signer_note(const struct cw_signer *signer) { return signer->note; }
static size_t blocks(size_t bytes) { return (bytes + 4095) & ~(size_t)4095; }
size_t cw_signer_bytes(uint32_t signers) {
    const int width = cw_kernel->sign_width;
    return blocks(table_bytes(width)) + blocks(room_bytes(width)) + blocks(cw_kernel->sign_scratch_bytes) + signers * blocks(sizeof(struct cw_signer));
}

int cw_sign_batch(struct cw_thread *thread, struct cw_signer *signer, uint32_t count, const uint8_t *digests, uint8_t *signatures) {
    uint8_t *scratch;
    struct cw_sign_room *room = cw_thread_sign_room(thread, &scratch);
    if (count == 0 || count > CW_SIGN_MAX) return count == 0;
    /* A digest that somebody changes meanwhile must not be read twice: one nonce would sign two of them. */
    memcpy(room->digests, digests, (size_t)count * 32);
    cw_kernel->sign(&signer->key, shared.rows, count, room->digests, room->signatures, scratch);
    wipe_stack();
    cw_public(room->signatures, sizeof room->signatures);
    cw_verify_signed(thread, count, room->digests, room->signatures, signer->public_key, room->verdicts);
    int is_good = 1;
    for (uint32_t i = 0; i < count; i++) is_good &= room->verdicts[i] == CW_VALID;
    if (is_good) memcpy(signatures, room->signatures, (size_t)count * 64);
    cw_wipe(room->signatures, (size_t)count * 64);
    return is_good;
}
