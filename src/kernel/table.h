/* The shape of a key's table: windows of odd multiples of 2^offset Q, for one 129-bit half of a scalar.
 *
 * Window j covers `width` bits from j * width (the last one what is left of 129). A digit d of w bits stands for the odd
 * number 2 d - 2^w + 1, so row i of a window is (2 i + 1) 2^offset Q, and 2^(w-1) rows serve both signs. The last window
 * needs fewer rows: halves stay within CW_SPLIT_BOUND 2^120 of the middle. */
#ifndef CLAIMWIRE_TABLE_H
#define CLAIMWIRE_TABLE_H
#include "constants_generated.h"

#define CW_HALF_BITS 129
#define CW_ROW_BYTES 64
enum cw_kind { CW_SMALL, CW_LARGE, CW_GENERATOR, CW_KINDS }; /* 32, 16 and 10 windows; 16 KB, 130 KB, 2.3 MB */

#define CW_KEY_KINDS 2        /* kinds of a key's table: those before the generator's */
#define CW_HALF_POINTS_MAX 42 /* points of one half of u1 G + u2 Q, with the table that has the most windows */
#define CW_WINDOWS(kind) ((kind) == CW_SMALL ? 32 : (kind) == CW_LARGE ? 16 : 10)
#define CW_WIDTH(kind) ((kind) == CW_SMALL ? 4 : (kind) == CW_LARGE ? 8 : 13)

static inline __attribute__((unused)) int cw_windows(int kind) { return CW_WINDOWS(kind); }
static inline __attribute__((unused)) int cw_width(int kind) { return CW_WIDTH(kind); }
static inline __attribute__((unused)) int cw_window_width(int kind, int j) {
    return j + 1 < cw_windows(kind) ? cw_width(kind) : CW_HALF_BITS - j * cw_width(kind);
}
static inline __attribute__((unused)) int cw_window_rows(int kind, int j) {
    int offset = j * cw_width(kind);
    if (j + 1 < cw_windows(kind)) return 1 << (cw_width(kind) - 1);
    return (int)(offset <= 120 ? CW_SPLIT_BOUND << (120 - offset) : (CW_SPLIT_BOUND >> (offset - 120)) + 1);
}
static inline __attribute__((unused)) int cw_table_rows(int kind) {
    int last = cw_windows(kind) - 1;
    return last * (1 << (cw_width(kind) - 1)) + cw_window_rows(kind, last);
}
/* Points of one half of u1 G + u2 Q. */
static inline __attribute__((unused)) int cw_half_points(int kind) { return cw_windows(kind) + cw_windows(CW_GENERATOR); }

/* Of each kind there may be: its points have room, and its windows cover a half with a last one that is not too long. */
#define CW_SHAPE_HOLDS(kind) \
    ((kind) >= CW_KINDS || (CW_WINDOWS(kind) * CW_WIDTH(kind) + 1 >= CW_HALF_BITS && (CW_WINDOWS(kind) - 1) * CW_WIDTH(kind) < CW_HALF_BITS && CW_WIDTH(kind) <= 13 && \
     ((kind) == CW_GENERATOR || CW_WINDOWS(kind) + CW_WINDOWS(CW_GENERATOR) <= CW_HALF_POINTS_MAX)))
_Static_assert(CW_GENERATOR == CW_KEY_KINDS && CW_KINDS <= 8, "the generator's table comes after those of keys");
_Static_assert(CW_SHAPE_HOLDS(0) && CW_SHAPE_HOLDS(1) && CW_SHAPE_HOLDS(2) && CW_SHAPE_HOLDS(3) && CW_SHAPE_HOLDS(4) && CW_SHAPE_HOLDS(5) &&
               CW_SHAPE_HOLDS(6) && CW_SHAPE_HOLDS(7), "a table's windows do not cover a half, or have more points than CW_HALF_POINTS_MAX");
#endif
