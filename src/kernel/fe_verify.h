/* VERIFY mode, for C tests alone (-DCW_VERIFY): every call of the contract checks the magnitudes and the limbs of what it is
 * given and of what it returns. An fe then carries what its bounds are; nothing else changes.
 *
 * From here on fe_mul and the others are these checked ones; an implementation's own calls, above, are not checked. */
#ifndef CLAIMWIRE_FE_VERIFY_H
#define CLAIMWIRE_FE_VERIFY_H
#ifdef __wasm__
#define CW_VERIFY_FAULT(function, what) __builtin_trap()
#else
#include <stdio.h>
#include <stdlib.h>
#endif

#ifndef CW_VERIFY_FAULT /* a test of these checks counts them */
#define CW_VERIFY_FAULT(function, what) (fprintf(stderr, "%s: %s\n", function, what), abort())
#endif
#define CW_NEED(condition) do { if (!(condition)) CW_VERIFY_FAULT(__func__, "expected " #condition); } while (0)

#ifndef VEC_LOOSE_MAX /* the magnitude that holds a loose number's limbs */
#define VEC_LOOSE_MAX 1
#endif
#ifndef VEC_OWN_BOUNDS /* five limbs of 64 bits, element beside element */
#ifndef VEC_LIMB_BITS
#define VEC_LIMB_BITS 0
#endif
static inline __attribute__((unused)) uint64_t vec_limb_at(const void *number, int limb, int element) {
    uint64_t v;
    memcpy(&v, (const uint8_t *)number + 8 * (limb * VEC + element), 8);
    return v - VEC_LIMB_BITS;
}
static inline __attribute__((unused)) int fe_within(const fe *a, uint64_t magnitude, int form) {
    for (int element = 0; element < VEC; element++) {
        uint64_t l[5], w[4];
        for (int i = 0; i < 5; i++) {
            const uint64_t max = i < 4 ? VEC_LIMB_MAX(magnitude) : magnitude * ((1ULL << 48) + 64);
            l[i] = vec_limb_at(a->v, i, element);
            if (form == CW_LOOSE && l[i] >> 63) l[i] = 0 - l[i];
            if (l[i] > max) return 0;
        }
        if (form != CW_CANONICAL) continue;
        for (int i = 0; i < 5; i++)
            if (l[i] > (i < 4 ? CW_MASK52 : CW_MASK48)) return 0;
        cw_words_from_limbs(w, l);
        if (!cw_words_less(w, cw_p_words)) return 0;
    }
    return 1;
}
static inline __attribute__((unused)) int sc_within(const sc *a) {
    for (int element = 0; element < VEC; element++)
        for (int i = 0; i < 5; i++)
            if (vec_limb_at(a->v, i, element) > (i < 4 ? CW_MASK52 : (1ULL << 50) - 1)) return 0;
    return 1;
}
#endif

/* Both are macros, so that a fault names the function. */
#define FE_IN(a, max, or_loose) do { \
    CW_NEED((a)->form != CW_UNSET && ((or_loose) || (a)->form != CW_LOOSE) && (a)->magnitude >= 1 && (a)->magnitude <= (max)); \
    CW_NEED(fe_within(a, (uint64_t)(a)->magnitude, (a)->form)); } while (0)
#define FE_OUT(r, m, f) do { (r)->magnitude = (m), (r)->form = (f); CW_NEED(fe_within(r, (uint64_t)(m), f)); } while (0)
#define SC_IN(a) do { CW_NEED((a)->form != CW_UNSET); CW_NEED(sc_within(a)); } while (0)
#define SC_OUT(r) do { (r)->magnitude = 1, (r)->form = CW_PLAIN; CW_NEED(sc_within(r)); } while (0)
#define CHECKED static inline __attribute__((unused))

CHECKED void fe_mul_checked(fe *r, const fe *a, const fe *b) {
    FE_IN(a, 8, 0);
    FE_IN(b, 8, 0);
    CW_NEED(a->magnitude * b->magnitude <= 40);
    fe_mul(r, a, b);
    FE_OUT(r, 1, CW_PLAIN);
}
CHECKED void fe_sqr_checked(fe *r, const fe *a) {
    FE_IN(a, 6, 0);
    fe_sqr(r, a);
    FE_OUT(r, 1, CW_PLAIN);
}
CHECKED void fe_mul_sub_checked(fe *r, const fe *a, const fe *b, const fe *c) {
    FE_IN(a, 8, 0);
    FE_IN(b, 8, 0);
    FE_IN(c, 8, 1);
    CW_NEED(a->magnitude * b->magnitude <= 40);
    fe_mul_sub(r, a, b, c);
    FE_OUT(r, 1, CW_PLAIN);
}
CHECKED void fe_sqr_sub_checked(fe *r, const fe *a, const fe *x, const fe *d) {
    FE_IN(a, 6, 0);
    FE_IN(x, 1, 0);
    FE_IN(d, 5, 0);
    fe_sqr_sub(r, a, x, d);
    FE_OUT(r, 1, CW_PLAIN);
}
CHECKED void fe_add_checked(fe *r, const fe *a, const fe *b) {
    const int magnitude = a->magnitude + b->magnitude;
    FE_IN(a, 7, 0);
    FE_IN(b, 7, 0);
    CW_NEED(magnitude <= 8);
    fe_add(r, a, b);
    FE_OUT(r, magnitude, CW_PLAIN);
}
CHECKED void fe_sub_checked(fe *r, const fe *a, const fe *b) {
    const int magnitude = a->form == CW_LOOSE ? 6 : a->magnitude + 4;
    FE_IN(a, 4, 1);
    FE_IN(b, 2, a->form == CW_LOOSE);
    fe_sub(r, a, b);
    FE_OUT(r, magnitude, CW_PLAIN);
}
CHECKED void fe_scale_checked(fe *r, const fe *a, unsigned k) {
    const int magnitude = (int)k * a->magnitude;
    FE_IN(a, 8, 0);
    CW_NEED(magnitude >= 1 && magnitude <= 8);
    fe_scale(r, a, k);
    FE_OUT(r, magnitude, CW_PLAIN);
}
CHECKED void fe_negate_elements_checked(fe *r, const fe *a, vec_mask m) {
    FE_IN(a, 1, 0);
    fe_negate_elements(r, a, m);
    FE_OUT(r, VEC_LOOSE_MAX, CW_LOOSE);
}
CHECKED void fe_normal_checked(fe *r, const fe *a) {
    FE_IN(a, 8, 0);
    fe_normal(r, a);
    FE_OUT(r, 1, CW_CANONICAL);
}
CHECKED vec_mask fe_zero_checked(const fe *a) {
    FE_IN(a, 8, 0);
    return fe_zero(a);
}
CHECKED void fe_select_checked(fe *r, vec_mask m, const fe *a, const fe *b) {
    const int magnitude = a->magnitude > b->magnitude ? a->magnitude : b->magnitude;
    const int form = a->form == b->form ? a->form : a->form == CW_LOOSE || b->form == CW_LOOSE ? CW_LOOSE : CW_PLAIN;
    FE_IN(a, 8, 1);
    FE_IN(b, 8, 1);
    fe_select(r, m, a, b);
    FE_OUT(r, magnitude, form);
}
CHECKED void fe_rotate_checked(fe *r, const fe *a, int k) {
    const int magnitude = a->magnitude, form = a->form;
    FE_IN(a, 8, 1);
    fe_rotate(r, a, k);
    FE_OUT(r, magnitude, form);
}
/* Rows of tables are canonical. */
CHECKED void fe_load_x_checked(fe *r, const uint8_t *const *row) {
    fe_load_x(r, row);
    FE_OUT(r, 1, CW_PLAIN);
}
CHECKED void fe_load_y_checked(fe *r, const uint8_t *const *row) {
    fe_load_y(r, row);
    FE_OUT(r, 1, CW_PLAIN);
}
CHECKED void fe_from_words_checked(fe *r, const uint64_t *w, size_t stride) {
    fe_from_words(r, w, stride);
    FE_OUT(r, 1, CW_PLAIN);
}
CHECKED void fe_broadcast_checked(fe *r, const uint64_t w[4]) {
    fe_broadcast(r, w);
    FE_OUT(r, 1, CW_PLAIN);
}
CHECKED void fe_to_words_checked(uint64_t *w, size_t stride, const fe *a) {
    CW_NEED(a->form == CW_CANONICAL);
    FE_IN(a, 1, 0);
    fe_to_words(w, stride, a);
}
CHECKED void fe_element_words_checked(uint64_t w[4], const fe *a) {
    CW_NEED(a->form == CW_CANONICAL);
    FE_IN(a, 1, 0);
    fe_element_words(w, a);
}
CHECKED void fe_store_rows_checked(uint8_t *const *row, const fe *x, const fe *y) {
    CW_NEED(x->form == CW_CANONICAL && y->form == CW_CANONICAL);
    FE_IN(x, 1, 0);
    FE_IN(y, 1, 0);
    fe_store_rows(row, x, y);
}
CHECKED void sc_mul_checked(sc *r, const sc *a, const sc *b) {
    SC_IN(a);
    SC_IN(b);
    sc_mul(r, a, b);
    SC_OUT(r);
}
CHECKED void sc_normal_checked(sc *r, const sc *a) {
    SC_IN(a);
    sc_normal(r, a);
    SC_OUT(r);
    r->form = CW_CANONICAL;
}
CHECKED void sc_rotate_checked(sc *r, const sc *a, int k) {
    const int form = a->form;
    SC_IN(a);
    sc_rotate(r, a, k);
    SC_OUT(r);
    r->form = form;
}
CHECKED void sc_from_words_checked(sc *r, const uint64_t *w, size_t stride) {
    sc_from_words(r, w, stride);
    SC_OUT(r);
}
CHECKED void sc_broadcast_checked(sc *r, const uint64_t limbs[5]) {
    sc_broadcast(r, limbs);
    SC_OUT(r);
}
CHECKED void sc_element_words_checked(uint64_t w[4], const sc *a) {
    CW_NEED(a->form == CW_CANONICAL);
    SC_IN(a);
    sc_element_words(w, a);
}
CHECKED void sc_split_checked(vec_u64 b1[3], vec_u64 b2[3], const sc *u) {
    SC_IN(u);
    sc_split(b1, b2, u);
}
#define fe_mul fe_mul_checked
#define fe_sqr fe_sqr_checked
#define fe_mul_sub fe_mul_sub_checked
#define fe_sqr_sub fe_sqr_sub_checked
#define fe_add fe_add_checked
#define fe_sub fe_sub_checked
#define fe_scale fe_scale_checked
#define fe_negate_elements fe_negate_elements_checked
#define fe_normal fe_normal_checked
#define fe_zero fe_zero_checked
#define fe_select fe_select_checked
#define fe_rotate fe_rotate_checked
#define fe_load_x fe_load_x_checked
#define fe_load_y fe_load_y_checked
#define fe_from_words fe_from_words_checked
#define fe_broadcast fe_broadcast_checked
#define fe_to_words fe_to_words_checked
#define fe_element_words fe_element_words_checked
#define fe_store_rows fe_store_rows_checked
#define sc_mul sc_mul_checked
#define sc_normal sc_normal_checked
#define sc_rotate sc_rotate_checked
#define sc_from_words sc_from_words_checked
#define sc_broadcast sc_broadcast_checked
#define sc_element_words sc_element_words_checked
#define sc_split sc_split_checked
#endif
