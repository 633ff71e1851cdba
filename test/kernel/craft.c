#include "craft.h"
#include "common.h"
#include "vector_scalar.h"
#include "modinv.h"
#include "slow.h"

number small_number(uint64_t v) { return (number){{v, 0, 0, 0}}; }
number from_words(const uint64_t w[4]) {
    number r;
    memcpy(r.w, w, 32);
    if (!cw_words_less(r.w, cw_n_words)) cw_words_subtract(r.w, r.w, cw_n_words); /* n is above 2^255 */
    return r;
}
number multiply(number a, number b) {
    sc x, y, c;
    sc_from_words(&x, a.w, 1);
    sc_from_words(&y, b.w, 1);
    sc_broadcast(&c, cw_r2);
    sc_mul(&x, &x, &c);
    sc_mul(&x, &x, &y);
    sc_normal(&x, &x);
    sc_element_words(a.w, &x);
    return a;
}
number negate(number a) {
    if (!is_zero(a)) cw_words_subtract(a.w, cw_n_words, a.w);
    return a;
}
number add(number a, number b) { /* a - (n - b), plus n when that is negative */
    number minus = negate(b), r;
    if (is_zero(b) || !cw_words_subtract(r.w, a.w, minus.w)) return is_zero(b) ? a : r;
    cw_u128 c = 0;
    for (int i = 0; i < 4; i++) {
        c += (cw_u128)a.w[i] + b.w[i];
        r.w[i] = (uint64_t)c;
        c >>= 64;
    }
    return r;
}
number invert(number a) {
    cw_inverse_n(a.w, a.w);
    return a;
}
int is_zero(number a) { return cw_words_zero(a.w); }

int craft(struct cw_job *job, number u1, number u2, number d) {
    const number k = add(u1, multiply(u2, d));
    if (is_zero(k) || is_zero(u2)) return 0;
    uint64_t x[4], y[4];
    cw_slow_multiply_generator(x, y, k.w);
    return forge(job, u1, u2, from_words(x));
}
int forge(struct cw_job *job, number u1, number u2, number r) {
    const number s = multiply(r, invert(u2)), z = multiply(u1, s), minus = negate(s);
    memcpy(job->r, r.w, 32);
    memcpy(job->z, z.w, 32);
    memcpy(job->s, cw_words_less(cw_half_n_words, s.w) ? minus.w : s.w, 32);
    return !is_zero(r) && !is_zero(u2);
}

void craft_second_candidate(struct cw_job *job, uint64_t x[4], uint64_t y[4]) {
    uint64_t i = 1;
    memcpy(x, cw_n_words, 32);
    for (x[0]++; !cw_slow_decompress(y, x, 0); x[0]++) i++;
    const number r = small_number(i), zero = small_number(0);
    memcpy(job->r, r.w, 32);
    memcpy(job->s, r.w, 32);
    memcpy(job->z, zero.w, 32);
}

/* The value a row stands for: coefficients (of Q, of G) mod n, lambda not counted. */
struct node { number q, g; };
static struct node node_of(const uint8_t *row, int negative, int kind, int j, const uint8_t *table, const uint8_t *generator) {
    const int from_key = j < cw_windows(kind), k = from_key ? kind : CW_GENERATOR, window = from_key ? j : j - cw_windows(kind);
    const size_t index = (size_t)(row - (from_key ? table : generator)) / 64 - ((size_t)window << (cw_width(k) - 1));
    const int bit = window * cw_width(k);
    number v = small_number(2 * index + 1), power = small_number(0);
    power.w[bit >> 6] = 1ULL << (bit & 63);
    v = multiply(v, power);
    if (negative) v = negate(v);
    return from_key ? (struct node){v, small_number(0)} : (struct node){small_number(0), v};
}
/* The nodes of a signature: a half's keys, then its generators; the lambda half first. Returns how many a half has. */
static int all_nodes(struct node node[2][CW_HALF_POINTS_MAX], int kind, number u1, number u2, const uint8_t *table, const uint8_t *generator) {
    struct cw_lone lone;
    struct cw_job job = {.kind = (uint32_t)kind, .table = table, .s = {1, 0, 0, 0}};
    memcpy(job.r, u2.w, 32); /* s = 1: u1 = z, u2 = r */
    memcpy(job.z, u1.w, 32);
    const int half = cw_single_rows(&job, generator, &lone) / 2;
    for (int i = 0; i < 2 * half; i++) node[i / half][i % half] = node_of(lone.row[i], lone.negative[i], kind, i % half, table, generator);
    return half;
}
/* d = (+-B2 - B1)/(A1 -+ A2) for both signs */
static void meet_both(struct node p, struct node q, void (*meet)(void *context, number d), void *context) {
    for (int sign = 0; sign < 2; sign++) {
        const number a = add(p.q, sign ? q.q : negate(q.q)), c = add(sign ? negate(q.g) : q.g, negate(p.g));
        if (!is_zero(a) && !is_zero(c)) meet(context, multiply(c, invert(a)));
    }
}
static struct node sum_of(struct node p, struct node q) { return (struct node){add(p.q, q.q), add(p.g, q.g)}; }

void each_collision_in_order(int elements, int kind, number u1, number u2, const uint8_t *table, const uint8_t *generator,
                             void (*meet)(void *context, number d), void *context) {
    struct node node[2][CW_HALF_POINTS_MAX], sum[CW_ELEMENTS_MAX];
    const int half = all_nodes(node, kind, u1, u2, table, generator);
    const number lambda = from_words(cw_lambda_words);
    for (int i = 0; i < 2 * half; i++) {
        struct node next = node[i / half][i % half];
        if (i < half) next = (struct node){multiply(next.q, lambda), multiply(next.g, lambda)};
        if (i >= elements) meet_both(sum[i % elements], next, meet, context), next = sum_of(sum[i % elements], next);
        sum[i % elements] = next;
    }
    for (int k = elements / 2; k >= 1; k /= 2)
        for (int element = 0; element < k; element++) {
            meet_both(sum[element], sum[element + k], meet, context);
            sum[element] = sum_of(sum[element], sum[element + k]);
        }
}
void each_bare_collision(number u1, number u2, const uint8_t *generator, void (*meet)(void *context, number d), void *context) {
    struct node node[2][CW_HALF_POINTS_MAX], sum = {u2, small_number(0)};
    const int half = all_nodes(node, CW_BARE, u1, u2, 0, generator);
    const number lambda = from_words(cw_lambda_words);
    for (int i = 0; i < 2 * half; i++) { /* lambda's come first in both */
        struct node next = node[i / half][i % half];
        if (i < half) next.g = multiply(next.g, lambda);
        meet_both(sum, next, meet, context);
        sum = sum_of(sum, next);
    }
}
int each_collision(int kind, number u1, number u2, const uint8_t *table, const uint8_t *generator, void (*meet)(void *context, number d),
                   void *context) {
    struct node all[2][CW_HALF_POINTS_MAX], sum[2];
    const int half = all_nodes(all, kind, u1, u2, table, generator);
    int levels = 0;
    for (int h = 0; h < 2; h++) {
        struct node *node = all[h ? 0 : 1];
        int count = half;
        for (levels = 0; count > 1; levels++) {
            const int odd = count & 1;
            for (int j = 0; j < count / 2; j++) {
                const struct node p = node[odd + 2 * j], q = node[odd + 2 * j + 1];
                meet_both(p, q, meet, context);
                node[odd + j] = sum_of(p, q);
            }
            count = odd + count / 2;
        }
        sum[h] = node[0];
    }
    const number lambda = from_words(cw_lambda_words), a = multiply(lambda, sum[1].q), c = multiply(lambda, sum[1].g);
    const number difference = add(sum[0].q, negate(a));
    if (!is_zero(difference)) meet(context, multiply(add(c, negate(sum[0].g)), invert(difference)));
    return levels;
}
