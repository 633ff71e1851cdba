/* What the implementations with five vectors of 52-bit limbs share: everything but products.
 *
 * The header that includes it defines operations on vectors of words (below), and how a limb is kept:
 *   LIMB_BITS      bits that are set in every kept limb, on top of its 52; 0 where a limb is kept as it is
 *   KEEP(x)        the low 52 bits of x as a kept limb; TOP(x) the same for x below 2^52; PLAIN(x) a kept limb without LIMB_BITS
 *   vec_limb       the vector; vec_choices a choice in every element
 *   SET ADD SUB AND OR XOR SHR SHL MUL32(low halves)
 *   vec_spread(vec_mask) -> vec_choices, vec_collect(vec_choices) -> vec_mask, vec_choice(c, a, b) a where c is set,
 *   vec_equal(a, b), vec_greater(a, b) below 2^63, vec_first(v) the word in element 0, vec_rotated(v, rotation), vec_rotation(k)
 *   vec_minus(r, a, c, twice)      r[i] = twice - a[i] where c is set, a[i] elsewhere, for five limbs
 *   vec_load_words(w, row, half)   four words from each row; vec_store_words(row, w): eight to each
 *
 * Limbs 0..3 are in 0 .. 2^52 - 1 always; limb 4 of magnitude m is in 0 .. m (2^48 + 2^6). `loose` limbs are signed. */
#ifndef CLAIMWIRE_LIMBS_52_H
#define CLAIMWIRE_LIMBS_52_H
#define VEC_LIMB_MAX(m) CW_MASK52
#define VEC_LIMB_BITS LIMB_BITS

typedef struct { vec_limb v[5]; VEC_CHECKED } fe;
typedef struct { vec_limb v[5]; VEC_CHECKED } sc; /* limbs kept like an fe's */
#define M52 SET(CW_MASK52)
#define M48 SET(CW_MASK48)
#define EACH_LIMB for (int i = 0; i < 5; i++)

/* Carry c0..c3 upwards into kept limbs. In: c0..c3 not negative, with the carry below 2^63; limb 4 below 2^52. */
#define CARRY(r, c0, c1, c2, c3, c4) do { \
    c1 = ADD(c1, SHR(c0, 52)); (r)->v[0] = KEEP(c0); \
    c2 = ADD(c2, SHR(c1, 52)); (r)->v[1] = KEEP(c1); \
    c3 = ADD(c3, SHR(c2, 52)); (r)->v[2] = KEEP(c2); \
    (r)->v[4] = TOP(ADD(c4, SHR(c3, 52))); (r)->v[3] = KEEP(c3); } while (0)
CW_INLINE void vec_carry(vec_limb r[5], const vec_limb c[5]) {
    struct { vec_limb v[5]; } t;
    vec_limb c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3], c4 = c[4];
    CARRY(&t, c0, c1, c2, c3, c4);
    EACH_LIMB r[i] = t.v[i];
}

CW_INLINE void fe_add(fe *r, const fe *a, const fe *b) {
    vec_limb c[5];
    EACH_LIMB c[i] = ADD(a->v[i], SUB(b->v[i], SET(2 * LIMB_BITS)));
    vec_carry(r->v, c);
}
/* The limbs of 4 p are above 2^54 - 2^35 (limb 4: 2^50 - 4), those of a difference above -2^53 even where both are loose;
 * limb 4 stays positive while the sum of the negated is at most 3: a loose a wants b of magnitude 2 or loose. */
CW_INLINE void fe_sub(fe *r, const fe *a, const fe *b) {
    vec_limb c[5];
    EACH_LIMB c[i] = ADD(SUB(a->v[i], b->v[i]), FOUR_P(i));
    vec_carry(r->v, c);
}
CW_INLINE void fe_scale(fe *r, const fe *a, unsigned k) {
    vec_limb c[5];
    EACH_LIMB {
        const vec_limb limb = SUB(a->v[i], SET(LIMB_BITS));
        c[i] = SET(0);
        if (k & 1) c[i] = ADD(c[i], limb);
        if (k & 2) c[i] = ADD(c[i], SHL(limb, 1));
        if (k & 4) c[i] = ADD(c[i], SHL(limb, 2));
        if (k & 8) c[i] = ADD(c[i], SHL(limb, 3));
    }
    vec_carry(r->v, c);
}
CW_INLINE void fe_negate_elements(fe *r, const fe *a, vec_mask m) { vec_minus(r->v, a->v, vec_spread(m), LIMB_BITS_TWICE); }
/* Twice carried the value is below 2^256 + 2^33 < 2 p; it is >= p when adding 2^256 - p reaches 2^256. */
CW_INLINE void fe_normal(fe *r, const fe *a) {
    vec_limb t[5], c[5];
    EACH_LIMB t[i] = PLAIN(a->v[i]);
    for (int round = 0; round < 2; round++) {
        const vec_limb over = SHR(t[4], 48); /* at most 8, times 2^32 + 977 */
        t[0] = ADD(t[0], ADD(MUL32(over, SET(CW_FOLD_256 & 0xFFFFFFFF)), SHL(over, 32)));
        t[4] = AND(t[4], M48);
        vec_carry(c, t);
        EACH_LIMB t[i] = PLAIN(c[i]);
    }
    t[0] = ADD(t[0], SET(CW_FOLD_256));
    vec_carry(t, t);
    const vec_choices over = vec_greater(PLAIN(t[4]), M48);
    t[4] = TOP(AND(t[4], M48));
    EACH_LIMB r->v[i] = vec_choice(over, t[i], c[i]);
}
CW_INLINE vec_mask fe_zero(const fe *a) {
    fe t;
    fe_normal(&t, a);
    return vec_collect(vec_equal(OR(OR(t.v[0], t.v[1]), OR(OR(t.v[2], t.v[3]), t.v[4])), SET(LIMB_BITS)));
}
CW_INLINE void fe_select(fe *r, vec_mask m, const fe *a, const fe *b) {
    const vec_choices c = vec_spread(m);
    EACH_LIMB r->v[i] = vec_choice(c, a->v[i], b->v[i]);
}
CW_INLINE void fe_rotate(fe *r, const fe *a, int k) { EACH_LIMB r->v[i] = vec_rotated(a->v[i], vec_rotation(k)); }
CW_INLINE void sc_rotate(sc *r, const sc *a, int k) { EACH_LIMB r->v[i] = vec_rotated(a->v[i], vec_rotation(k)); }

CW_INLINE void vec_limbs(vec_limb l[5], const vec_limb w[4]) {
    l[0] = KEEP(w[0]);
    l[1] = KEEP(OR(SHR(w[0], 52), SHL(w[1], 12)));
    l[2] = KEEP(OR(SHR(w[1], 40), SHL(w[2], 24)));
    l[3] = KEEP(OR(SHR(w[2], 28), SHL(w[3], 36)));
    l[4] = TOP(SHR(w[3], 16));
}
/* Of canonical limbs. What is shifted left loses LIMB_BITS by that. */
CW_INLINE void vec_words(vec_limb w[4], const vec_limb l[5]) {
    w[0] = OR(PLAIN(l[0]), SHL(l[1], 52));
    w[1] = OR(SHR(PLAIN(l[1]), 12), SHL(l[2], 40));
    w[2] = OR(SHR(PLAIN(l[2]), 24), SHL(l[3], 28));
    w[3] = OR(SHR(PLAIN(l[3]), 36), SHL(l[4], 16));
}
CW_INLINE void vec_from_words(vec_limb l[5], const uint64_t *w, size_t stride) {
    const vec_limb t[4] = {(vec_limb)vec_load(w), (vec_limb)vec_load(w + stride), (vec_limb)vec_load(w + 2 * stride), (vec_limb)vec_load(w + 3 * stride)};
    vec_limbs(l, t);
}
CW_INLINE void fe_to_words(uint64_t *w, size_t stride, const fe *a) {
    vec_limb t[4];
    vec_words(t, a->v);
    for (int i = 0; i < 4; i++) vec_store(w + i * stride, (vec_u64)t[i]);
}
CW_INLINE void vec_element_words(uint64_t w[4], const vec_limb l[5]) {
    uint64_t t[5];
    EACH_LIMB t[i] = vec_first(PLAIN(l[i]));
    cw_words_from_limbs(w, t);
}
CW_INLINE void sc_broadcast(sc *r, const uint64_t limbs[5]) { EACH_LIMB r->v[i] = SET(limbs[i] | LIMB_BITS); }
CW_INLINE void fe_broadcast(fe *r, const uint64_t w[4]) {
    uint64_t t[5];
    cw_limbs_from_words(t, w);
    EACH_LIMB r->v[i] = SET(t[i] | LIMB_BITS);
}
CW_INLINE void vec_load_halves(vec_limb l[5], const uint8_t *const *row, size_t half) {
    vec_limb w[4];
    vec_load_words(w, row, half);
    vec_limbs(l, w);
}
CW_INLINE void fe_store_rows(uint8_t *const *row, const fe *x, const fe *y) {
    vec_limb w[8];
    vec_words(w, x->v);
    vec_words(w + 4, y->v);
    vec_store_words(row, w);
}

CW_INLINE void sc_normal(sc *r, const sc *a) {
    sc t = *a;
    for (int round = 0; round < 4; round++) { /* near is below 2^258 < 5 n */
        vec_limb d[5], borrow = SET(0);
        EACH_LIMB {
            const vec_limb x = SUB(SUB(PLAIN(t.v[i]), SET(cw_n_limbs[i])), borrow);
            borrow = SHR(x, 63);
            d[i] = KEEP(x);
        }
        const vec_choices fits = vec_equal(borrow, SET(0));
        EACH_LIMB t.v[i] = vec_choice(fits, d[i], t.v[i]);
    }
    *r = t;
}
/* The last step of a split: halves of three limbs, which may be too long, to words of 129 bits in all. */
CW_INLINE void sc_half_words(vec_u64 b[3], vec_limb k[3]) {
    k[1] = ADD(k[1], SHR(k[0], 52));
    k[2] = AND(ADD(k[2], SHR(k[1], 52)), M52);
    k[0] = AND(k[0], M52);
    k[1] = AND(k[1], M52);
    b[0] = (vec_u64)OR(k[0], SHL(k[1], 52));
    b[1] = (vec_u64)OR(SHR(k[1], 12), SHL(k[2], 40));
    b[2] = (vec_u64)SHR(k[2], 24);
}
#endif
