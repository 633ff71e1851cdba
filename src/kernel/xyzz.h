/* Points as (X, Y, ZZ, ZZZ), which stands for (X/ZZ, Y/ZZZ) with ZZ^3 = ZZZ^2: one squaring less an addition than Jacobian
 * coordinates, where there is no doubling. Formulas: mmadd-, madd- and add-2008-s of the Explicit-Formulas Database. No case
 * distinctions: an addition of equal x gives ZZ = 0, and ZZ stays 0 in everything after it, so one test at the end finds it.
 * All coordinates have magnitude 1, but where it is said. */
struct xyzz { fe x, y, zz, zzz; };

/* From P = x2 - x1 and R = y2 - y1 (magnitudes up to 6), x1 and y1, all with the denominators zz and zzz, to the sum. In the
 * order of what is waited for: the next addition begins with zz and zzz. */
CW_INLINE void xyzz_finish(struct xyzz *r, const fe *p, const fe *slope, const fe *x1, const fe *y1, const fe *zz, const fe *zzz) {
    fe pp, ppp, q, t;
    struct xyzz sum;
    fe_sqr(&pp, p);
    fe_mul(&ppp, p, &pp);
    fe_mul(&q, x1, &pp);
    fe_mul(&sum.zz, zz, &pp);
    fe_sqr_sub(&sum.x, slope, &q, &ppp);
    fe_mul(&sum.zzz, zzz, &ppp);
    fe_mul(&t, y1, &ppp);
    fe_sub(&q, &q, &sum.x);
    fe_mul_sub(&sum.y, slope, &q, &t);
    *r = sum;
}
/* r = +-(x1, y1) +- (x2, y2) */
CW_INLINE void xyzz_add_two_affine(struct xyzz *r, const fe *x1, fe y1, vec_mask negative1, const fe *x2, fe y2, vec_mask negative2) {
    fe p, slope, zero;
    fe_broadcast(&zero, cw_zero_words);
    fe_negate_elements(&y1, &y1, negative1);
    fe_negate_elements(&y2, &y2, negative2);
    fe_sub(&p, x2, x1);
    fe_sub(&slope, &y2, &y1);
    fe_sub(&y1, &y1, &zero); /* makes it no longer loose */
    fe pp, ppp, q, t; /* as in xyzz_finish, where both denominators are 1 */
    fe_sqr(&pp, &p);
    fe_mul(&ppp, &p, &pp);
    fe_mul(&q, x1, &pp);
    fe_mul(&t, &y1, &ppp);
    fe_sqr_sub(&r->x, &slope, &q, &ppp);
    fe_sub(&q, &q, &r->x);
    fe_mul_sub(&r->y, &slope, &q, &t);
    r->zz = pp, r->zzz = ppp;
}
/* r = s + (x, y), y negated in the elements of `negative`. */
CW_INLINE void xyzz_add_affine(struct xyzz *r, const struct xyzz *s, const fe *x, const fe *y, vec_mask negative) {
    fe p, slope;
    fe_mul(&p, x, &s->zz);
    fe_sub(&p, &p, &s->x);
    fe_mul(&slope, y, &s->zzz);
    fe_negate_elements(&slope, &slope, negative);
    fe_sub(&slope, &slope, &s->y);
    xyzz_finish(r, &p, &slope, &s->x, &s->y, &s->zz, &s->zzz);
}
/* Each element of `first` (those with bit k clear) plus the one k further. Of the products of an addition each of the two has about half,
 * so that a vector is not busy with the same ones twice: 8 rather than 12. What was the same in elements 2 k apart is now the same in
 * those k apart; Y has magnitude 5. */
CW_INLINE void xyzz_add_rotated(struct xyzz *s, int k, vec_mask first) {
    fe a, b, u, v, w, p, pp, slope, q, ppp, t;
    fe_rotate(&a, &s->zz, k);
    fe_rotate(&b, &s->zzz, k);
    fe_mul(&u, &s->x, &a);
    fe_mul(&v, &s->y, &b);
    fe_select(&a, first, &a, &b);
    fe_select(&b, first, &s->zz, &s->zzz);
    fe_mul(&w, &a, &b); /* of the ZZ | of the ZZZ */
    fe_rotate(&p, &u, k);
    fe_sub(&p, &p, &u);
    fe_sqr(&pp, &p);
    fe_rotate(&b, &v, k);
    fe_sub(&slope, &b, &v);
    fe_rotate(&a, &p, k);
    fe_select(&a, first, &u, &a);
    fe_mul(&q, &a, &pp); /* U1 PP | P PP */
    fe_rotate(&ppp, &q, k);
    fe_select(&a, first, &pp, &q);
    fe_mul(&w, &w, &a);
    fe_sqr_sub(&a, &slope, &q, &ppp);
    fe_rotate(&t, &a, k);
    fe_select(&s->x, first, &a, &t);
    fe_sub(&t, &q, &a);
    fe_select(&t, first, &t, &q);
    fe_select(&slope, first, &slope, &b);
    fe_mul(&a, &slope, &t); /* R (Q - X3) | S1 PPP */
    fe_rotate(&b, &a, k);
    fe_sub(&a, &a, &b);
    fe_rotate(&b, &a, k);
    fe_select(&s->y, first, &a, &b);
    fe_rotate(&a, &w, k);
    fe_select(&s->zz, first, &w, &a);
    fe_select(&s->zzz, first, &a, &w);
}
/* X and ZZ of two neighbours' sum, for the last step. As PPP + 2 Q = (U1 + U2) PP, X3 is R^2 less that; magnitude 5. */
CW_INLINE void xyzz_add_rotated_x(fe *x, fe *zz, const struct xyzz *s, int k) {
    fe other_zz, other_zzz, u, v, p, slope, sum;
    fe_rotate(&other_zz, &s->zz, k);
    fe_rotate(&other_zzz, &s->zzz, k);
    fe_mul(&u, &s->x, &other_zz);
    fe_mul(&v, &s->y, &other_zzz);
    fe_mul(zz, &s->zz, &other_zz);
    fe_rotate(&p, &u, k);
    fe_rotate(&slope, &v, k);
    fe_add(&sum, &p, &u);
    fe_sub(&p, &p, &u);
    fe_sub(&slope, &slope, &v);
    fe_sqr(&p, &p);
    fe_sqr(&slope, &slope);
    fe_mul(&sum, &sum, &p);
    fe_mul(zz, zz, &p);
    fe_sub(x, &slope, &sum);
}
