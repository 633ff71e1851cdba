/* See race.h. A group with one sound kernel is not timed: most starts take no race at all. */
#include "race.h"

enum {
    ROUNDS = 3,        /* in turns: what else runs on the machine slows one round, seldom all of one kernel's */
    MARGIN_PERCENT = 5 /* so much faster must a kernel be than the one preferred; less is noise */
};

int cw_race(struct cw_racer *racer, int count, const struct cw_referee *referee) {
    for (int first = 0, last; first < count; first = last) {
        int sound = 0, winner = -1;
        for (last = first; last < count && racer[last].group == racer[first].group; last++) {
            racer[last].fault = referee->fault(referee->context, racer[last].kernel);
            if (racer[last].fault) continue;
            if (!sound++) winner = last;
        }
        for (int round = 0; sound > 1 && round < ROUNDS; round++)
            for (int i = first; i < last; i++) {
                if (racer[i].fault) continue;
                const uint64_t time = referee->nanoseconds(referee->context, racer[i].kernel);
                if (!round || time < racer[i].best) racer[i].best = time;
            }
        for (int i = winner + 1; sound > 1 && i < last; i++)
            if (!racer[i].fault && racer[i].best * 100 < racer[winner].best * (100 - MARGIN_PERCENT)) winner = i;
        if (winner >= 0) return winner;
    }
    return -1;
}
