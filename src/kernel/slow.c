/* The specification: tests and the fuzzer compare everything else with it; no claim is verified here. One bit at a time,
 * Jacobian coordinates, every case of the group law spelled out. Decompression is for keys when a channel opens. */
#include "slow.h"
#include "vector_scalar.h"
#include "modinv.h"

struct point { fe x, y, z; int infinite; };

static void point_set(struct point *p, const uint64_t x[4], const uint64_t y[4]) {
    fe_broadcast(&p->x, x);
    fe_broadcast(&p->y, y);
    fe_broadcast(&p->z, cw_one_words);
    p->infinite = 0;
}
static int equal(const fe *a, const fe *b) {
    fe t;
    fe_sub(&t, a, b);
    return fe_zero(&t);
}
static void point_double(struct point *r, const struct point *p) {
    if (p->infinite) { /* no point of odd order has y = 0 */
        *r = *p;
        return;
    }
    struct point q = {.infinite = 0};
    fe y2, v, m, t;
    fe_sqr(&y2, &p->y);
    fe_mul(&v, &p->x, &y2);
    fe_scale(&v, &v, 4);
    fe_sqr(&m, &p->x);
    fe_scale(&m, &m, 3);
    fe_scale(&t, &v, 2);
    fe_mul_sub(&q.x, &m, &m, &t);
    fe_sub(&v, &v, &q.x);
    fe_sqr(&t, &y2);
    fe_scale(&t, &t, 8);
    fe_mul_sub(&q.y, &m, &v, &t);
    fe_scale(&t, &p->y, 2);
    fe_mul(&q.z, &t, &p->z);
    *r = q;
}
static void point_add(struct point *r, const struct point *p, const struct point *q) {
    if (p->infinite || q->infinite) {
        *r = p->infinite ? *q : *p;
        return;
    }
    fe pz2, qz2, u1, u2, s1, s2, t, h, e, h2, h3, v;
    fe_sqr(&pz2, &p->z);
    fe_sqr(&qz2, &q->z);
    fe_mul(&u1, &p->x, &qz2);
    fe_mul(&u2, &q->x, &pz2);
    fe_mul(&t, &qz2, &q->z);
    fe_mul(&s1, &p->y, &t);
    fe_mul(&t, &pz2, &p->z);
    fe_mul(&s2, &q->y, &t);
    if (equal(&u1, &u2)) {
        if (equal(&s1, &s2)) point_double(r, p);
        else r->infinite = 1;
        return;
    }
    struct point o = {.infinite = 0};
    fe_sub(&h, &u2, &u1);
    fe_sub(&e, &s2, &s1);
    fe_mul(&t, &p->z, &q->z);
    fe_mul(&o.z, &t, &h);
    fe_sqr(&h2, &h);
    fe_mul(&h3, &h2, &h);
    fe_mul(&v, &u1, &h2);
    fe_sqr_sub(&o.x, &e, &v, &h3);
    fe_sub(&v, &v, &o.x);
    fe_mul(&t, &s1, &h3);
    fe_mul_sub(&o.y, &e, &v, &t);
    *r = o;
}
/* r = a p + b q, both scalars bit by bit (Straus). */
static void multiply_two(struct point *r, const uint64_t a[4], const struct point *p, const uint64_t b[4], const struct point *q) {
    struct point both;
    point_add(&both, p, q);
    r->infinite = 1;
    for (int i = 255; i >= 0; i--) {
        point_double(r, r);
        const int bits = (int)(a[i >> 6] >> (i & 63) & 1) | (int)(b[i >> 6] >> (i & 63) & 1) << 1;
        if (bits) point_add(r, r, bits == 3 ? &both : bits == 2 ? q : p);
    }
}
static void scalar_product(uint64_t r[4], const uint64_t a[4], const uint64_t b[4]) {
    sc x, y, c;
    sc_from_words(&x, a, 1);
    sc_from_words(&y, b, 1);
    sc_broadcast(&c, cw_r2);
    sc_mul(&x, &x, &c);
    sc_mul(&x, &x, &y);
    sc_normal(&x, &x);
    sc_element_words(r, &x);
}

int cw_signature_in_range(const uint64_t r[4], const uint64_t s[4]) {
    return !cw_words_zero(r) && !cw_words_zero(s) && cw_words_less(r, cw_n_words) && !cw_words_less(cw_half_n_words, s);
}

int cw_slow_verify(const uint64_t r[4], const uint64_t s[4], const uint64_t z[4], const uint64_t x[4], const uint64_t y[4]) {
    if (!cw_signature_in_range(r, s)) return 0;
    uint64_t inverse[4], u1[4], u2[4];
    cw_inverse_n(inverse, s);
    scalar_product(u1, inverse, z);
    scalar_product(u2, inverse, r);
    struct point g, q, sum;
    point_set(&g, cw_generator_x, cw_generator_y);
    point_set(&q, x, y);
    multiply_two(&sum, u1, &g, u2, &q);
    if (sum.infinite) return 0;
    fe candidate, z2, t;
    fe_sqr(&z2, &sum.z);
    fe_broadcast(&candidate, r);
    fe_mul(&t, &candidate, &z2);
    if (equal(&sum.x, &t)) return 1;
    if (!cw_words_less(r, cw_p_minus_n_words)) return 0;
    fe n; /* x = r + n < p is congruent to r as well */
    fe_broadcast(&n, cw_n_words);
    fe_add(&candidate, &candidate, &n);
    fe_mul(&t, &candidate, &z2);
    return equal(&sum.x, &t);
}

int cw_slow_decompress(uint64_t y[4], const uint64_t x[4], int odd) {
    static const uint64_t seven[4] = {7, 0, 0, 0};
    if (!cw_words_less(x, cw_p_words)) return 0;
    fe px, right, root, t;
    fe_broadcast(&px, x);
    fe_broadcast(&right, seven);
    fe_sqr(&t, &px);
    fe_mul(&t, &t, &px);
    fe_add(&right, &right, &t);
    /* root = right^((p + 1)/4); (p + 1)/4 = 2^254 - 2^30 - 244. */
    fe_broadcast(&root, cw_one_words);
    uint64_t e[4] = {0xFFFFFFFFBFFFFF0CULL, (uint64_t)-1, (uint64_t)-1, 0x3FFFFFFFFFFFFFFFULL};
    for (int i = 253; i >= 0; i--) {
        fe_sqr(&root, &root);
        if (e[i >> 6] >> (i & 63) & 1) fe_mul(&root, &root, &right);
    }
    fe_sqr(&t, &root);
    if (!equal(&t, &right)) return 0;
    fe_normal(&root, &root);
    if ((int)(root.v[0] & 1) != odd) {
        fe_broadcast(&t, cw_zero_words);
        fe_sub(&root, &t, &root);
        fe_normal(&root, &root);
    }
    fe_element_words(y, &root);
    return 1;
}
int cw_slow_parse_key(uint64_t x[4], uint64_t y[4], const uint8_t key[33]) {
    if (key[0] != 2 && key[0] != 3) return 0;
    cw_words_from_be(x, key + 1);
    return cw_slow_decompress(y, x, key[0] & 1);
}
void cw_slow_multiply_generator(uint64_t x[4], uint64_t y[4], const uint64_t k[4]) {
    struct point g, twice, r;
    point_set(&g, cw_generator_x, cw_generator_y);
    point_double(&twice, &g);
    multiply_two(&r, k, &g, cw_zero_words, &twice);
    uint64_t w[4];
    fe zi, t;
    fe_normal(&zi, &r.z);
    fe_element_words(w, &zi);
    cw_inverse_p(w, w);
    fe_broadcast(&zi, w);
    fe_sqr(&t, &zi);
    fe_mul(&r.x, &r.x, &t);
    fe_mul(&t, &t, &zi);
    fe_mul(&r.y, &r.y, &t);
    fe_normal(&r.x, &r.x);
    fe_normal(&r.y, &r.y);
    fe_element_words(x, &r.x);
    fe_element_words(y, &r.y);
}
