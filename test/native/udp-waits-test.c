/* How long datagrams waited in their socket, when the system's clock, by which the kernel notes arrivals, is set meanwhile. The
 * source is part of the test: its clocks and its receive are replaced, so that any step can be made between any two calls. */
#ifdef __linux__
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static int64_t system_ns, monotonic_ns, arrived_ns[4];
static unsigned waiting;
static int test_clock_gettime(clockid_t clock, struct timespec *now) {
    const int64_t ns = clock == CLOCK_REALTIME ? system_ns : monotonic_ns;
    *now = (struct timespec){ns / 1000000000, ns % 1000000000};
    return 0;
}
static int test_recvmmsg(int fd, struct mmsghdr *headers, unsigned count, int flags, struct timespec *timeout) {
    const unsigned got = waiting < count ? waiting : count;
    (void)fd, (void)flags, (void)timeout;
    for (unsigned i = 0; i < got; i++) {
        const struct timespec at = {arrived_ns[i] / 1000000000, arrived_ns[i] % 1000000000};
        struct cmsghdr *c = CMSG_FIRSTHDR(&headers[i].msg_hdr);
        c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_TIMESTAMPNS, c->cmsg_len = CMSG_LEN(sizeof at);
        memcpy(CMSG_DATA(c), &at, sizeof at);
        headers[i].msg_hdr.msg_controllen = CMSG_SPACE(sizeof at);
        headers[i].msg_hdr.msg_namelen = 0, headers[i].msg_len = 1;
    }
    waiting -= got;
    return got ? (int)got : (errno = EAGAIN, -1);
}
#define clock_gettime test_clock_gettime
#define recvmmsg test_recvmmsg
#include "../../src/native/udp_batch.c"

static long checks;
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); exit(1); } } while (0)

enum { MS = 1000000, STEPS = 9, WAITS = 4 };
static const int64_t SECOND = 1000000000, HOUR = 3600 * SECOND;
static struct cw_udp_message messages[4];
static uint8_t received[4 * CW_UDP_MESSAGE_STRIDE];

/* A socket is seen empty; a while later `count` datagrams come; they wait, the clock is set by `step`, and they are read. */
static void waits(int64_t idle, int64_t waited, int64_t step, unsigned count, uint32_t read_at_once) {
    struct cw_udp s = {.fd = -1, .has_times = 1, .received = received, .messages = messages, .messages_max = 4};
    const int64_t most = (idle + waited + COARSE_NS) / 1000;
    system_ns = 1700000000 * SECOND, monotonic_ns = 2 * HOUR;
    s.empty_at_ns = monotonic_ns - HOUR; /* opened long ago */
    EXPECT(cw_udp_receive(&s, 4) == 0, "nothing is there");
    system_ns += idle, monotonic_ns += idle;
    for (unsigned i = 0; i < count; i++) arrived_ns[i] = system_ns;
    waiting = count;
    system_ns += waited + step, monotonic_ns += waited;
    for (unsigned left = count; left > 0;) {
        const int got = cw_udp_receive(&s, read_at_once);
        EXPECT(got > 0, "%u are there", left);
        left -= (unsigned)got;
        for (int i = 0; i < got; i++) {
            const int64_t us = messages[i].waited_us, seems = (waited + step) / 1000;
            const int64_t expected = seems < 0 ? 0 : seems > most ? most : seems;
            EXPECT(us == expected, "idle %lld, waited %lld, step %lld: expected %lld us, got %lld", (long long)idle, (long long)waited,
                   (long long)step, (long long)expected, (long long)us);
        }
    }
}

int main(void) {
    const int64_t steps[STEPS] = {0, -HOUR, HOUR, -300000 * HOUR, 300000 * HOUR, -1, 1, -5 * MS, 5 * MS};
    const int64_t times[WAITS] = {0, 40000, 3 * MS, 2 * SECOND};
    for (int step = 0; step < STEPS; step++)
        for (int idle = 0; idle < WAITS; idle++)
            for (int wait = 0; wait < WAITS; wait++)
                for (unsigned count = 1; count <= 4; count++)
                    for (uint32_t at_once = 1; at_once <= 4; at_once++) waits(times[idle], times[wait], steps[step], count, at_once);
    /* A socket that was never seen empty, since the machine started long ago: what fits is told. */
    EXPECT(waited_us(INT64_MAX, INT64_MAX) == WAITED_US_MAX && waited_us(INT64_MIN, INT64_MAX) == 0, "the ends of the range");
    printf("udp-waits: %ld checks\n", checks);
    return 0;
}
#else
#include <stdio.h>
int main(void) { return puts("SKIPPED udp-waits: only Linux has these sockets") < 0; }
#endif
