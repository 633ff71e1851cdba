/* Batch, second half: add up all points of all signatures as a tree, level by level, in affine coordinates.
 *
 * A level adds neighbours: with d = x2 - x1 and 1/d for the whole level from one inversion (Montgomery's trick; four
 * independent chains hide the latency of the multiplication),
 *     l = (y2 - y1) / d,  x3 = l^2 - 2 x1 - d,  y3 = l (x1 - x3) - y1:    six multiplications an addition in all.
 * Layout: the points of a kind of table are `count` rows of `units` nodes; a unit is one half (plain or lambda) of VEC
 * signatures. A level adds rows 2j and 2j+1 into row j, in place; with an odd count row 0 waits: (2j+1, 2j+2) -> j+1.
 * At the leaves points are still in their tables: a row that waits there is loaded (load_waiting).
 *
 * Equal x (d = 0) makes the level's product zero, so one test a level finds it. Only then are the culprits looked for, by
 * halving along the chain. Their d becomes 1 so that the others can go on, and their signatures are left undecided. */
#include "kernel.h"
#include "modinv.h"

#define STREAMS 4

/* The nodes of one kind of table within a batch. */
struct part {
    fe *x, *y, *prefix;
    const uint8_t *const *row;
    const uint8_t *negative;
    size_t units, count;
    vec_mask *undecided; /* per group */
};
struct prefetcher { const uint8_t *const *next, *const *end; };

CW_INLINE void prefetch_some(struct prefetcher *p, int count) {
    if (p->end - p->next < count) return;
    for (int i = 0; i < count; i++) __builtin_prefetch(p->next[i], 0, 2);
    p->next += count;
}

/* The differences of one level, written over x2, and the running product before each. At the leaves x1 is stored too. */
CW_INLINE void chain_differences(const struct part *p, fe run[STREAMS], int streams, int leaves) {
    const size_t odd = p->count & 1, pairs = p->count / 2;
    for (size_t j = pairs; j-- > 0;)
        for (size_t u = p->units; u > 0; u -= (size_t)streams) {
            const size_t pair = j * p->units + u - (size_t)streams, a = (odd + j) * p->units + pair, b = a + p->units;
            fe d[STREAMS];
            for (int k = 0; k < streams; k++) {
                if (leaves) {
                    fe x1, x2;
                    fe_load_x(&x1, p->row + (a + k) * VEC);
                    fe_load_x(&x2, p->row + (b + k) * VEC);
                    fe_sub(&d[k], &x2, &x1);
                    p->x[a + k] = x1;
                    p->x[b + k] = d[k];
                } else {
                    fe_sub(&d[k], &p->x[b + k], &p->x[a + k]);
                    p->x[b + k] = d[k];
                }
            }
            for (int k = 0; k < streams; k++) {
                p->prefix[pair + k] = run[k];
                fe_mul(&run[k], &run[k], &d[k]);
            }
        }
}

/* The additions of one level; run[] holds the inverses of the chains' products and unwinds them. */
CW_INLINE void add_pairs(const struct part *p, fe run[STREAMS], int streams, int leaves, struct prefetcher *ahead) {
    const size_t odd = p->count & 1, pairs = p->count / 2;
    for (size_t j = 0; j < pairs; j++)
        for (size_t u = 0; u < p->units; u += (size_t)streams) {
            const size_t pair = j * p->units + u, a = (odd + j) * p->units + pair, b = a + p->units, to = odd * p->units + pair;
            fe inverse[STREAMS];
            for (int k = 0; k < streams; k++) {
                fe_mul(&inverse[k], &run[k], &p->prefix[pair + k]);
                fe_mul(&run[k], &run[k], &p->x[b + k]);
            }
            for (int k = 0; k < streams; k++) {
                fe x1 = p->x[a + k], d = p->x[b + k], y1, y2, l, t;
                if (leaves) {
                    fe_load_y(&y1, p->row + (a + k) * VEC);
                    fe_load_y(&y2, p->row + (b + k) * VEC);
                    fe_negate_elements(&y1, &y1, p->negative[a + k]);
                    fe_negate_elements(&y2, &y2, p->negative[b + k]);
                } else {
                    y1 = p->y[a + k];
                    y2 = p->y[b + k];
                }
                fe_sub(&t, &y2, &y1);
                fe_mul(&l, &t, &inverse[k]);
                fe_sqr_sub(&t, &l, &x1, &d);
                p->x[to + k] = t;
                fe_sub(&t, &x1, &t);
                fe_mul_sub(&p->y[to + k], &l, &t, &y1);
                if (!leaves) prefetch_some(ahead, 2 * VEC);
            }
        }
}

/* run[k] <- 1/run[k] in every element, from one inversion. Returns 0, and leaves run as it is, when the product of all is 0. */
static int invert_chains(fe run[STREAMS]) {
    fe across[3], low, high, total;
    fe_mul(&low, &run[0], &run[1]);
    fe_mul(&high, &run[2], &run[3]);
    fe_mul(&total, &low, &high);
    int steps = 0;
    for (int k = VEC / 2; k >= 1; k /= 2, steps++) {
        fe_rotate(&across[steps], &total, k);
        fe_mul(&total, &total, &across[steps]);
    }
    uint64_t words[4];
    fe_normal(&total, &total);
    fe_element_words(words, &total);
    if (cw_words_zero(words)) return 0;
    cw_inverse_p(words, words);
    fe inverse, inverse_low, inverse_high, t;
    fe_broadcast(&inverse, words);
    for (int i = 0; i < steps; i++) fe_mul(&inverse, &inverse, &across[i]);
    fe_mul(&inverse_low, &inverse, &high);
    fe_mul(&inverse_high, &inverse, &low);
    t = run[0];
    fe_mul(&run[0], &inverse_low, &run[1]);
    fe_mul(&run[1], &inverse_low, &t);
    t = run[2];
    fe_mul(&run[2], &inverse_high, &run[3]);
    fe_mul(&run[3], &inverse_high, &t);
    return 1;
}

static void start_chains(fe run[STREAMS]) {
    for (int k = 0; k < STREAMS; k++) fe_broadcast(&run[k], cw_one_words);
}

/* Stream k of a part: its pairs in the order of the chain, from the last pair to the first. */
struct stream { const struct part *part; size_t k, width, steps; };
static struct stream stream_of(const struct part *p, size_t k) {
    const size_t width = p->units % 4 ? 2 : 4;
    return (struct stream){p, k, width, k < width ? p->count / 2 * p->units / width : 0};
}
static size_t pair_of(const struct stream *s, size_t step) { return (s->steps - 1 - step) * s->width + s->k; }
static fe *prefix_of(const struct stream *s, size_t step) { return &s->part->prefix[pair_of(s, step)]; }
static fe *difference_of(const struct stream *s, size_t step) {
    const size_t pair = pair_of(s, step), units = s->part->units;
    return &s->part->x[((s->part->count & 1) + pair / units + 1) * units + pair];
}
/* The running product before a step; after the last one, `end`. */
static const fe *running(const struct stream *s, size_t step, const fe *end) { return step < s->steps ? prefix_of(s, step) : end; }
static void chain_again(const struct stream *s, size_t step, fe *run) {
    for (; step < s->steps; step++) {
        *prefix_of(s, step) = *run;
        fe_mul(run, run, difference_of(s, step));
    }
}
/* Once a difference is zero, so is the running product from there on. The first such place is found by halving, its
 * signature is marked, its difference becomes 1, and the rest of the stream is chained again, until no zero is left. */
static void mend_stream(const struct stream *s, fe *run) {
    for (vec_mask zero; (zero = fe_zero(run)) != 0;) {
        size_t before = 0, after = s->steps; /* no element zero before a step, some element before the other */
        while (after - before > 1) {
            const size_t middle = (before + after) / 2;
            if (fe_zero(running(s, middle, run))) after = middle;
            else before = middle;
        }
        fe one, *d = difference_of(s, before);
        fe_broadcast(&one, cw_one_words);
        zero = fe_zero(running(s, after, run));
        s->part->undecided[pair_of(s, before) % s->part->units / 2] |= zero;
        fe_select(d, zero, &one, d);
        *run = *prefix_of(s, before);
        chain_again(s, before, run);
    }
}
/* The running product after part `i` of a stream: what the next part began with, or `end` after the last one (part 0). */
static const fe *after_part(const struct part part[CW_KEY_KINDS], int i, size_t k, const fe *end) {
    while (--i >= 0) {
        const struct stream s = stream_of(&part[i], k);
        if (s.steps) return prefix_of(&s, 0);
    }
    return end;
}
/* A difference was zero somewhere in this level: mends the streams it is in, in all parts. This is rare, hence one stream
 * at a time. Only what is chained behind a collision is done again: a payer must not slow down what shares its batch. */
static __attribute__((noinline)) void set_collisions_aside(const struct part part[CW_KEY_KINDS], fe run[STREAMS]) {
    for (size_t k = 0; k < STREAMS; k++) {
        if (!fe_zero(&run[k])) continue;
        int is_mended = 0;
        fe end;
        for (int i = CW_KEY_KINDS - 1; i >= 0; i--) {
            const struct stream s = stream_of(&part[i], k);
            if (is_mended) chain_again(&s, 0, &end);
            else end = *after_part(part, i, k, &run[k]);
            if (!s.steps || !fe_zero(&end)) continue;
            mend_stream(&s, &end);
            is_mended = 1;
        }
        run[k] = end;
    }
}

/* Row 0 of an odd number of leaves, as a level below would have left it: y of magnitude 1, its sign applied. */
static void __attribute__((noinline)) load_waiting(const struct part *p) {
    fe zero, one, y;
    fe_broadcast(&zero, cw_zero_words);
    fe_broadcast(&one, cw_one_words);
    for (size_t u = 0; u < p->units; u++) {
        fe_load_x(&p->x[u], p->row + u * VEC);
        fe_load_y(&y, p->row + u * VEC);
        fe_negate_elements(&y, &y, p->negative[u]);
        fe_sub(&y, &y, &zero);
        fe_mul(&p->y[u], &y, &one);
    }
}

static void __attribute__((noinline)) chain_part(const struct part *p, fe run[STREAMS], int leaves) {
    if (p->units % 4 == 0) {
        if (leaves) chain_differences(p, run, 4, 1);
        else chain_differences(p, run, 4, 0);
    } else if (leaves) chain_differences(p, run, 2, 1);
    else chain_differences(p, run, 2, 0);
}
static void __attribute__((noinline)) add_part(const struct part *p, fe run[STREAMS], int leaves, struct prefetcher *ahead) {
    if (p->units % 4 == 0) {
        if (leaves) add_pairs(p, run, 4, 1, ahead);
        else add_pairs(p, run, 4, 0, ahead);
    } else if (leaves) add_pairs(p, run, 2, 1, ahead);
    else add_pairs(p, run, 2, 0, ahead);
}

static void add_level(struct part part[CW_KEY_KINDS], int leaves, struct prefetcher *ahead) {
    fe run[STREAMS];
    start_chains(run);
    for (int i = CW_KEY_KINDS - 1; i >= 0; i--) chain_part(&part[i], run, leaves);
    if (!invert_chains(run)) {
        set_collisions_aside(part, run);
        invert_chains(run);
    }
    for (int i = 0; i < CW_KEY_KINDS; i++) {
        if (leaves && part[i].count & 1) load_waiting(&part[i]);
        add_part(&part[i], run, leaves, ahead);
        part[i].count = (part[i].count + 1) / 2;
    }
}

static int more_levels(const struct part part[CW_KEY_KINDS]) {
    for (int i = 0; i < CW_KEY_KINDS; i++)
        if (part[i].count > 1) return 1;
    return 0;
}

/* R = (x1, y1) + lambda (x2, y2) has x = r:  (y2 - y1)^2 = (r + x1 + x2)(x2 - x1)^2, with x2 taken times beta.
 * x2 = x1 would make both sides zero for the doubling: undecided. r < p - n (`small`) has r + n for a second candidate:
 * anybody can send such an r, so it must not lead to the slow path. */
CW_INLINE vec_mask ends_well(const struct part *p, size_t unit, const fe *r, vec_mask small, vec_mask *undecided) {
    fe beta, order, x2, d, sum, left, right, t;
    fe_broadcast(&beta, cw_beta_words);
    fe_mul(&x2, &p->x[unit + 1], &beta);
    fe_sub(&d, &x2, &p->x[unit]);
    fe_sub(&t, &p->y[unit + 1], &p->y[unit]);
    fe_sqr(&left, &t);
    fe_sqr(&right, &d);
    *undecided |= fe_zero(&right);
    fe_add(&sum, r, &x2);
    fe_add(&sum, &sum, &p->x[unit]);
    fe_mul_sub(&t, &sum, &right, &left);
    vec_mask good = fe_zero(&t);
    if (small) {
        fe_broadcast(&order, cw_n_words);
        fe_add(&sum, &sum, &order);
        fe_mul_sub(&t, &sum, &right, &left);
        good |= fe_zero(&t) & small;
    }
    return good;
}

static void KERNEL(finish)(struct cw_batch *batch, const struct cw_batch *next, void *scratch) {
    vec_mask undecided[CW_POSITIONS / VEC] = {0};
    fe *x = scratch, *y = x + CW_BATCH_NODES / VEC, *prefix = y + CW_BATCH_NODES / VEC;
    struct prefetcher ahead = {next ? next->row : 0, next ? next->row + next->rows : 0};
    struct part part[CW_KEY_KINDS];
    size_t node = 0, group = 0;
    for (int kind = 0; kind < CW_KEY_KINDS; kind++) {
        const size_t units = 2 * batch->groups[kind], count = units ? (size_t)cw_half_points(kind) : 1;
        part[kind] = (struct part){x + node, y + node, prefix + node, batch->row + node * VEC, batch->negative + node, units, count, undecided + group};
        node += units * count;
        group += batch->groups[kind];
    }
    add_level(part, 1, &ahead);
    while (more_levels(part)) add_level(part, 0, &ahead);
    while (ahead.next < ahead.end) __builtin_prefetch(*ahead.next++, 0, 2);

    for (size_t kind = 0, position = 0; kind < CW_KEY_KINDS; kind++)
        for (size_t g = 0; g < batch->groups[kind]; g++) {
            fe r;
            fe_from_words(&r, &batch->r[0][position], CW_POSITIONS);
            vec_mask unsure = part[kind].undecided[g], small = 0;
            for (int element = 0; element < VEC; element++)
                small |= (vec_mask)(cw_words_less(batch->job[batch->job_at[position + element]].r, cw_p_minus_n_words) << element);
            const vec_mask good = ends_well(&part[kind], 2 * g, &r, small, &unsure);
            for (int element = 0; element < VEC; element++, position++) {
                struct cw_job *job = &batch->job[batch->job_at[position]];
                job->verdict = unsure >> element & 1 ? CW_UNDECIDED : good >> element & 1 ? CW_VALID : CW_INVALID;
            }
        }
}
