/* Jacobian steps in elements: (X, Y, Z) stands for (X/Z^2, Y/Z^3). No case distinctions: an addition of equal x gives
 * Z = 0, and Z stays 0 in everything after it, so one test at the end finds it. All coordinates have magnitude 1. */
struct jacobian { fe x, y, z; };

/* r = 2 p. Points of prime order have no y = 0. */
CW_INLINE void jacobian_double(struct jacobian *r, const struct jacobian *p) {
    fe y2, t, m, x8, y4;
    fe_sqr(&y2, &p->y);
    fe_mul(&t, &p->x, &y2);
    fe_sqr(&m, &p->x);
    fe_scale(&m, &m, 3);
    fe_sqr(&y4, &y2);
    fe_scale(&y4, &y4, 8);
    fe_scale(&x8, &t, 8);
    fe_scale(&t, &t, 4);
    fe yz;
    fe_scale(&yz, &p->y, 2);
    fe_mul(&r->z, &yz, &p->z);
    fe x3;
    fe_mul_sub(&x3, &m, &m, &x8);
    fe_sub(&t, &t, &x3);
    fe_mul_sub(&r->y, &m, &t, &y4);
    r->x = x3;
}
/* What both additions share: X3, Y3 from H = U2 - U1 and e = S2 - S1 (magnitudes up to 6), U1 and S1. */
CW_INLINE void jacobian_finish(struct jacobian *r, const fe *h, const fe *e, const fe *u1, const fe *s1) {
    fe h2, h3, v, t;
    fe_sqr(&h2, h);
    fe_mul(&h3, h, &h2);
    fe_mul(&v, u1, &h2);
    fe_mul(&t, s1, &h3);
    fe_sqr_sub(&r->x, e, &v, &h3);
    fe_sub(&v, &v, &r->x);
    fe_mul_sub(&r->y, e, &v, &t);
}
/* The beginning of p + (x, y), with y negated in the elements of `negative`: H and e as in jacobian_finish, where U1 and S1
 * are then p's x and y. */
CW_INLINE void jacobian_begin_affine(fe *h, fe *e, const struct jacobian *p, const fe *x, const fe *y, vec_mask negative) {
    fe z2, t;
    fe_sqr(&z2, &p->z);
    fe_mul(h, x, &z2);
    fe_sub(h, h, &p->x);
    fe_mul(&t, &z2, &p->z);
    fe_mul(e, y, &t);
    fe_negate_elements(e, e, negative);
    fe_sub(e, e, &p->y);
}
/* r = p + (x, y), y negated in the elements of `negative`. */
CW_INLINE void jacobian_add_affine(struct jacobian *r, const struct jacobian *p, const fe *x, const fe *y, vec_mask negative) {
    fe h, e;
    struct jacobian q;
    jacobian_begin_affine(&h, &e, p, x, y, negative);
    fe_mul(&q.z, &p->z, &h);
    jacobian_finish(&q, &h, &e, &p->x, &p->y);
    *r = q;
}
/* r = +-(x1, y1) +- (x2, y2). Its z has magnitude 5, which an addition accepts. */
CW_INLINE void jacobian_add_two_affine(struct jacobian *r, const fe *x1, fe y1, vec_mask negative1, const fe *x2, fe y2, vec_mask negative2) {
    fe e, s1, zero;
    fe_broadcast(&zero, cw_zero_words);
    fe_negate_elements(&y1, &y1, negative1);
    fe_negate_elements(&y2, &y2, negative2);
    fe_sub(&r->z, x2, x1);
    fe_sub(&e, &y2, &y1);
    fe_sub(&s1, &y1, &zero); /* makes it no longer loose */
    jacobian_finish(r, &r->z, &e, x1, &s1);
}
