/* Batch, first half: from (r, s, z, table) to the table rows that add up to R = (z/s) G + (r/s) Q.
 *
 * With s^-1 for all from one inversion, each of u1, u2 is split along the endomorphism into two 129-bit numbers whose
 * digits are plain bit slices: never zero, sign in the top bit. So every signature adds the same number of points, and
 * there is no special case for u1 = 0. */
#include "kernel.h"
#include "modinv.h"

/* x[i] <- R / (2 x[i]) mod n for all groups: Montgomery's trick along the groups, then across the elements. With R^2 for
 * `scale` instead of R^2/2: R / x[i]. */
static void invert_scalars(sc *x, sc *prefix, int groups, const uint64_t scale[5], void (*invert)(uint64_t[4], const uint64_t[4])) {
    sc across[3], total = x[0], inverse, constant;
    for (int i = 1; i < groups; i++) {
        prefix[i] = total;
        sc_mul(&total, &total, &x[i]);
    }
    int steps = 0;
    for (int k = VEC / 2; k >= 1; k /= 2, steps++) {
        sc_rotate(&across[steps], &total, k);
        sc_mul(&total, &total, &across[steps]);
    }
    uint64_t words[4], limbs[5];
    sc_normal(&total, &total);
    sc_element_words(words, &total);
    invert(words, words);
    cw_limbs_from_words(limbs, words);
    sc_broadcast(&inverse, limbs);
    sc_broadcast(&constant, scale);
    sc_mul(&inverse, &inverse, &constant);
    for (int i = 0; i < steps; i++) sc_mul(&inverse, &inverse, &across[i]);
    for (int i = groups - 1; i > 0; i--) {
        sc t;
        sc_mul(&t, &inverse, &prefix[i]);
        sc_mul(&inverse, &inverse, &x[i]);
        x[i] = t;
    }
    x[0] = inverse;
}

/* The rows of one half-scalar in one table: window j's row goes to row[j * stride], its sign to negative[j * step]. */
CW_INLINE void put_rows(int kind, const vec_u64 half[3], vec_u64 table, const uint8_t **row, size_t stride, uint8_t *negative,
                        size_t step) {
    for (int j = 0; j < cw_windows(kind); j++) {
        const int width = cw_window_width(kind, j), offset = j * cw_width(kind), word = offset >> 6, shift = offset & 63;
        vec_u64 digit = half[word] >> shift;
        if (shift + width > 64) digit |= half[word + 1] << (64 - shift);
        const vec_u64 plus = (digit >> (width - 1)) & 1;
        const vec_u64 index = (digit ^ (plus - 1)) & (((uint64_t)1 << (width - 1)) - 1);
        vec_store(row + j * stride, table + ((uint64_t)j << (cw_width(kind) - 1)) * CW_ROW_BYTES + index * CW_ROW_BYTES);
        negative[j * step] = vec_bit_mask(plus ^ 1);
    }
}

/* All rows of one group. Half 0 is at unit, half 1 (the lambda half) at unit + 1; node j of a unit is at j * units + unit. */
CW_INLINE void put_group(int kind, const sc *u1, const sc *u2, vec_u64 table, vec_u64 generator, const uint8_t **row,
                         uint8_t *negative, size_t units) {
    vec_u64 g[2][3], q[2][3];
    sc_split(g[0], g[1], u1);
    sc_split(q[0], q[1], u2);
    for (int h = 0; h < 2; h++) {
        put_rows(kind, q[h], table, row + h * VEC, units * VEC, negative + h, units);
        const size_t first = cw_windows(kind) * units;
        put_rows(CW_GENERATOR, g[h], generator, row + (first + h) * VEC, units * VEC, negative + first + h, units);
    }
}

/* Orders the jobs by kind of table. Each kind is padded to whole groups with copies of its first job, which is harmless as
 * elements do not affect each other. */
static int place_jobs(struct cw_batch *batch) {
    int position = 0;
    for (uint32_t kind = 0; kind < CW_KEY_KINDS; kind++) {
        const int first = position;
        for (uint32_t i = 0; i < batch->count; i++)
            if (batch->job[i].kind == kind) batch->job_at[position++] = (uint16_t)i;
        while (position % VEC) batch->job_at[position] = batch->job_at[first], position++;
        batch->groups[kind] = (uint32_t)(position - first) / VEC;
    }
    return position;
}

static void KERNEL(prepare)(struct cw_batch *batch, const uint8_t *generator, void *scratch) {
    const int positions = place_jobs(batch), groups = positions / VEC;
    struct { uint64_t s[4][CW_POSITIONS], z[4][CW_POSITIONS], table[CW_POSITIONS]; } *w = scratch;
    for (int p = 0; p < positions; p++) {
        const struct cw_job *job = &batch->job[batch->job_at[p]];
        for (int k = 0; k < 4; k++) batch->r[k][p] = job->r[k], w->s[k][p] = job->s[k], w->z[k][p] = job->z[k];
        w->table[p] = (uint64_t)(uintptr_t)job->table;
    }
    batch->rows = 0;
    if (groups == 0) return;
    sc s[CW_POSITIONS / VEC], prefix[CW_POSITIONS / VEC];
    for (int i = 0; i < groups; i++) sc_from_words(&s[i], &w->s[0][i * VEC], CW_POSITIONS);
    invert_scalars(s, prefix, groups, cw_half_r2, cw_inverse_n);

    const vec_u64 generators = vec_set((uint64_t)(uintptr_t)generator);
    const uint8_t **row = batch->row;
    uint8_t *negative = batch->negative;
    for (int kind = 0, group = 0; kind < CW_KEY_KINDS; kind++) {
        const size_t units = 2 * batch->groups[kind];
        for (size_t unit = 0; unit < units; unit += 2, group++) {
            sc r, z;
            sc_from_words(&r, &batch->r[0][group * VEC], CW_POSITIONS);
            sc_from_words(&z, &w->z[0][group * VEC], CW_POSITIONS);
            sc_mul(&r, &r, &s[group]);
            sc_mul(&z, &z, &s[group]);
            const vec_u64 table = vec_load(&w->table[group * VEC]);
switch (kind) {
            case CW_TINY: put_group(CW_TINY, &z, &r, table, generators, row + unit * VEC, negative + unit, units); break;
            case CW_SMALL: put_group(CW_SMALL, &z, &r, table, generators, row + unit * VEC, negative + unit, units); break;
            case CW_LARGE: put_group(CW_LARGE, &z, &r, table, generators, row + unit * VEC, negative + unit, units); break;
            default: put_group(CW_HUGE, &z, &r, table, generators, row + unit * VEC, negative + unit, units);
            }
        }
        const size_t nodes = units * (size_t)cw_half_points(kind);
        row += nodes * VEC;
        negative += nodes;
    }
    batch->rows = (uint32_t)(row - batch->row);
}
