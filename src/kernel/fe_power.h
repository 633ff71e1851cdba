/* Powers that the field's prime gives: it begins with 223 ones, 0 and 22 ones, in binary. Constant time. */
/* r = a^(2^count) */
static __attribute__((unused)) void square_times(fe *r, const fe *a, int count) {
    *r = *a;
    for (int i = 0; i < count; i++) fe_sqr(r, r);
}
/* r = a^(2^246 - 2^22 - 1), whose exponent is 223 ones, 0, 22 ones: runs of ones by doubling. x2 = a^3. */
static __attribute__((unused)) void power_of_ones(fe *r, fe *x2, const fe *a) {
    fe x3, x6, x11, x22, x44, x88, t;
    square_times(&t, a, 1), fe_mul(x2, &t, a);
    square_times(&t, x2, 1), fe_mul(&x3, &t, a);
    square_times(&t, &x3, 3), fe_mul(&x6, &t, &x3);
    square_times(&t, &x6, 3), fe_mul(&t, &t, &x3);
    square_times(&t, &t, 2), fe_mul(&x11, &t, x2);
    square_times(&t, &x11, 11), fe_mul(&x22, &t, &x11);
    square_times(&t, &x22, 22), fe_mul(&x44, &t, &x22);
    square_times(&t, &x44, 44), fe_mul(&x88, &t, &x44);
    square_times(&t, &x88, 88), fe_mul(&t, &t, &x88); /* 176 */
    square_times(&t, &t, 44), fe_mul(&t, &t, &x44);   /* 220 */
    square_times(&t, &t, 3), fe_mul(&t, &t, &x3);     /* 223 */
    square_times(&t, &t, 23), fe_mul(r, &t, &x22);
}
