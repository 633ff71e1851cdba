/* Inversion in variable time, in the frame of safegcd (https://gcd.cr.yp.to/papers.html): pairs (f, g) start as (m, a); what is
 * done to them for the next 62 bits depends only on their low words, and is a 2 x 2 matrix with entries up to 2^62, which is then
 * applied to the long (f, g) and, modulo m, to the cofactors (d, e), where d a = f and e a = g (up to a common power of two that
 * each application divides out). At g = 0, f = +-1 and d = +-1/a. The steps are those of Brent and Kung's plus-minus algorithm
 * ("Systolic VLSI arrays for linear-time GCD computation"): fewer than divsteps, and nothing to be constant about.
 * Numbers are five signed limbs of 62 bits; the lower four are kept in 0 .. 2^62 - 1, the top carries the sign. */
#include "modinv.h"
#include "common.h"
#include "constants_generated.h"

typedef __int128 i128;
#define MASK62 ((uint64_t)-1 >> 2)
struct matrix { int64_t u, v, q, r; };

/* 62 bits in variable time. f and g are odd; the one of g + f and g - f that four divides becomes g, without its zeros, and f the smaller of
 * both before that: smaller as far as is known, which is delta, the bits f may have more than g. The bits that both may have, 512 at first,
 * become one fewer with each zero but one a step, of which there are two at least: so this ends, after 185 steps on average. Which of
 * the two it is nobody can foresee: hence no branch, but masks, and the matrix two numbers at a time. */
typedef uint64_t two __attribute__((vector_size(16)));
static int64_t halve_62(int64_t delta, uint64_t f, uint64_t g, struct matrix *t) {
    two top = {1, 0}, bottom = {0, 1};
    for (uint64_t end = (uint64_t)1 << 62;;) {
        const int zeros = __builtin_ctzll(g | end);
        g >>= zeros;
        end >>= zeros;
        top <<= zeros;
        delta += zeros;
        if (end == 1) break;
        const uint64_t swap = (uint64_t)(-delta >> 63), before = g, sum = g + f;
        const uint64_t minus = (uint64_t)((int64_t)(sum << 62) >> 63); /* all ones when four does not divide the sum */
        const two swaps = {swap, swap}, minuses = {minus, minus}, next = ((top ^ minuses) - minuses) + bottom;
        top ^= (top ^ bottom) & swaps;
        bottom = next;
        g = sum - (2 * f & minus);
        f ^= (f ^ before) & swap;
        delta = ((delta ^ (int64_t)swap) - (int64_t)swap) - 1;
    }
    *t = (struct matrix){(int64_t)top[0], (int64_t)top[1], (int64_t)bottom[0], (int64_t)bottom[1]};
    return delta;
}

/* (f, g) = t (f, g) / 2^62, exact, on the limbs still in use. */
static void apply_to_pair(int64_t *f, int64_t *g, int limbs, const struct matrix *t) {
    i128 a = (i128)t->u * f[0] + (i128)t->v * g[0], b = (i128)t->q * f[0] + (i128)t->r * g[0];
    a >>= 62;
    b >>= 62;
    for (int i = 1; i < limbs; i++) {
        a += (i128)t->u * f[i] + (i128)t->v * g[i];
        b += (i128)t->q * f[i] + (i128)t->r * g[i];
        f[i - 1] = (int64_t)((uint64_t)a & MASK62);
        g[i - 1] = (int64_t)((uint64_t)b & MASK62);
        a >>= 62;
        b >>= 62;
    }
    f[limbs - 1] = (int64_t)a;
    g[limbs - 1] = (int64_t)b;
}

/* (d, e) = t (d, e) / 2^62 mod m. In and out: -2 m < d, e < m; a multiple of m makes the division exact, another one
 * (m for each negative input, times its factor) brings the range back. */
static void apply_to_cofactors(int64_t d[5], int64_t e[5], const struct matrix *t, const int64_t m[5], uint64_t m_inverse) {
    int64_t ds = d[4] >> 63, es = e[4] >> 63;
    int64_t x = (t->u & ds) + (t->v & es), y = (t->q & ds) + (t->r & es);
    i128 a = (i128)t->u * d[0] + (i128)t->v * e[0], b = (i128)t->q * d[0] + (i128)t->r * e[0];
    x -= (int64_t)((m_inverse * (uint64_t)a + (uint64_t)x) & MASK62);
    y -= (int64_t)((m_inverse * (uint64_t)b + (uint64_t)y) & MASK62);
    a = (a + (i128)m[0] * x) >> 62;
    b = (b + (i128)m[0] * y) >> 62;
    for (int i = 1; i < 5; i++) {
        a += (i128)t->u * d[i] + (i128)t->v * e[i] + (i128)m[i] * x;
        b += (i128)t->q * d[i] + (i128)t->r * e[i] + (i128)m[i] * y;
        d[i - 1] = (int64_t)((uint64_t)a & MASK62);
        e[i - 1] = (int64_t)((uint64_t)b & MASK62);
        a >>= 62;
        b >>= 62;
    }
    d[4] = (int64_t)a;
    e[4] = (int64_t)b;
}

/* d += k m, limbs carried. */
static void add_multiple(int64_t d[5], const int64_t m[5], int64_t k) {
    i128 a = 0;
    for (int i = 0; i < 5; i++) {
        a += d[i] + (i128)k * m[i];
        d[i] = i < 4 ? (int64_t)((uint64_t)a & MASK62) : (int64_t)a;
        a >>= 62;
    }
}

static void inverse(uint64_t r[4], const uint64_t a[4], const int64_t m[5], uint64_t m_inverse) {
    int64_t d[5] = {0}, e[5] = {1}, f[5], delta = 0;
    int64_t g[5] = {(int64_t)(a[0] & MASK62), (int64_t)((a[0] >> 62 | a[1] << 2) & MASK62),
                    (int64_t)((a[1] >> 60 | a[2] << 4) & MASK62), (int64_t)((a[2] >> 58 | a[3] << 6) & MASK62), (int64_t)(a[3] >> 56)};
    memcpy(f, m, sizeof f);
    for (int limbs = 5; g[0] | g[1] | g[2] | g[3] | g[4];) {
        struct matrix t;
        delta = halve_62(delta, (uint64_t)f[0] | (uint64_t)f[1] << 62, (uint64_t)g[0] | (uint64_t)g[1] << 62, &t);
        apply_to_pair(f, g, limbs, &t); /* first, as the next matrix waits for it */
        apply_to_cofactors(d, e, &t, m, m_inverse);
        /* Drop a top limb that is only sign in both: its sign moves into the limb below. */
        int64_t ft = f[limbs - 1], gt = g[limbs - 1];
        if (limbs > 1 && (ft == 0 || ft == -1) && (gt == 0 || gt == -1)) {
            f[limbs - 2] |= (int64_t)((uint64_t)ft << 62);
            g[limbs - 2] |= (int64_t)((uint64_t)gt << 62);
            f[limbs - 1] = g[limbs - 1] = 0;
            limbs--;
        }
        if (limbs == 1) f[1] = g[1] = 0;
    }
    /* f = +-1 (or m, for a = 0, with d = 0). Bring d into 0..m-1 with the sign of f. */
    int negative = 0;
    for (int i = 4; i >= 0 && !negative; i--) negative = f[i] < 0;
    if (negative) { /* top limb in use holds the sign */
        i128 c = 0;
        for (int i = 0; i < 5; i++) {
            c -= d[i];
            d[i] = i < 4 ? (int64_t)((uint64_t)c & MASK62) : (int64_t)c;
            c >>= 62;
        }
    }
    while (d[4] < 0) add_multiple(d, m, 1);
    for (;;) { /* at most twice */
        int64_t s[5];
        memcpy(s, d, sizeof s);
        add_multiple(s, m, -1);
        if (s[4] < 0) break;
        memcpy(d, s, sizeof s);
    }
    r[0] = (uint64_t)d[0] | (uint64_t)d[1] << 62;
    r[1] = (uint64_t)d[1] >> 2 | (uint64_t)d[2] << 60;
    r[2] = (uint64_t)d[2] >> 4 | (uint64_t)d[3] << 58;
    r[3] = (uint64_t)d[3] >> 6 | (uint64_t)d[4] << 56;
}

void cw_inverse_p(uint64_t r[4], const uint64_t a[4]) { inverse(r, a, cw_p_limbs62, CW_P_INVERSE_62); }
void cw_inverse_n(uint64_t r[4], const uint64_t a[4]) { inverse(r, a, cw_n_limbs62, CW_N_INVERSE_62); }
