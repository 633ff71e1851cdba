/* Points as (X, Y, ZZ, ZZZ), which stands for (X/ZZ, Y/ZZZ) with ZZ^3 = ZZZ^2: one squaring less an addition than Jacobian
 * coordinates, where there is no doubling. Formulas: mmadd-, madd- and add-2008-s of the Explicit-Formulas Database. No case
 * distinctions: an addition of equal x gives ZZ = 0, and ZZ stays 0 in everything after it, so one test at the end finds it.
 * All coordinates have magnitude 1. */
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
/* Each element plus the one k further; elements that far from each other add the same two points. So a product of both points'
 * numbers is one product: what an element lacks, the other one has. The elements that begin with the other point come out as
 * (X, -Y, ZZ, -ZZZ), the same point; they get the numbers of the first, which the next step has to find in both. */
CW_INLINE void xyzz_add_rotated(struct xyzz *s, int k, vec_mask first) {
    struct xyzz other, r;
    fe u, v, p, slope, zz, zzz;
    fe_rotate(&other.zz, &s->zz, k);
    fe_rotate(&other.zzz, &s->zzz, k);
    fe_mul(&u, &s->x, &other.zz);
    fe_mul(&v, &s->y, &other.zzz);
    fe_mul(&zz, &s->zz, &other.zz);
    fe_mul(&zzz, &s->zzz, &other.zzz);
    fe_rotate(&p, &u, k);
    fe_rotate(&slope, &v, k);
    fe_sub(&p, &p, &u);
    fe_sub(&slope, &slope, &v);
    xyzz_finish(&r, &p, &slope, &u, &v, &zz, &zzz);
    fe_rotate(&other.y, &r.y, k);
    fe_rotate(&other.zzz, &r.zzz, k);
    fe_select(&r.y, first, &r.y, &other.y);
    fe_select(&r.zzz, first, &r.zzz, &other.zzz);
    *s = r;
}
/* x and zz of the same, for the last step. */
CW_INLINE void xyzz_add_rotated_x(fe *x, fe *zz, const struct xyzz *s, int k) {
    struct xyzz other;
    fe u, v, p, slope, pp, ppp;
    fe_rotate(&other.zz, &s->zz, k);
    fe_rotate(&other.zzz, &s->zzz, k);
    fe_mul(&u, &s->x, &other.zz);
    fe_mul(&v, &s->y, &other.zzz);
    fe_rotate(&p, &u, k);
    fe_rotate(&slope, &v, k);
    fe_sub(&p, &p, &u);
    fe_sub(&slope, &slope, &v);
    fe_sqr(&pp, &p);
    fe_mul(&ppp, &p, &pp);
    fe_mul(&u, &u, &pp);
    fe_sqr_sub(x, &slope, &u, &ppp);
    fe_mul(zz, &s->zz, &other.zz);
    fe_mul(zz, zz, &pp);
}
