/* The shape of a key's table: windows of odd multiples of 2^offset Q, for one 129-bit half of a scalar.
 *
 * Window j covers `width` bits from j * width (the last one what is left of 129). A digit d of w bits stands for the odd
 * number 2 d - 2^w + 1, so row i of a window is (2 i + 1) 2^offset Q, and 2^(w-1) rows serve both signs. The last window
 * needs fewer rows: halves stay within CW_SPLIT_BOUND 2^120 of the middle. */
#ifndef CLAIMWIRE_TABLE_H
#define CLAIMWIRE_TABLE_H
#include "constants_generated.h"
#include "layout_generated.h"

#define CW_HALF_BITS 129
#define CW_ROW_BYTES 64
/* A key's tables from the smallest to the largest: 11, 26, 133 and 404 KB, for 106, 72, 52 and 46 points a signature. The generator's
 * has 2.3 MB. CW_BARE: a key without one, of which only the point itself is at hand (batch_bare.h). */
enum cw_kind { CW_TINY, CW_SMALL, CW_LARGE, CW_HUGE, CW_GENERATOR, CW_KINDS, CW_BARE = CW_KINDS };
_Static_assert((int)CW_BARE == CW_TABLE_NONE && CW_TINY == 0 && CW_HUGE == 3, "verify/kernel.ts has the same numbers");
#define CW_KEY_KINDS 4
#define CW_HALF_POINTS_MAX (43 + 10) /* of one half, with the smallest table */
#define CW_BARE_WIDTH 4              /* of a digit where there is no table: 33 windows, the last one of 1 bit */
#define CW_BARE_WINDOWS 33
#define CW_BARE_TOGETHER 2           /* vectors of such signatures summed side by side */

#define CW_WINDOWS(kind) ((kind) == CW_TINY ? 43 : (kind) == CW_SMALL ? 26 : (kind) == CW_LARGE ? 16 : (kind) == CW_HUGE ? 13 : (kind) == CW_GENERATOR ? 10 : 0)
#define CW_WIDTH(kind) ((kind) == CW_TINY ? 3 : (kind) == CW_SMALL ? 5 : (kind) == CW_LARGE ? 8 : (kind) == CW_HUGE ? 10 : 13)

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
