/* Many datagrams per system call: recvmmsg, sendmmsg, and the kernel's joining (UDP_GRO) and cutting (UDP_SEGMENT). */
#ifdef __linux__
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "udp.h"

#define SEGMENTS_MAX 64 /* of one message; newer kernels allow 128 */
/* While the queue is full, a call waits this often (2 ms in all); then the packets that are left are lost. */
#define FULL_WAITS_MAX 8
#define FULL_WAIT_US 250
#define WAIT_US_MAX 1000000

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};
/* What the kernel says of a received message: where datagrams were joined, and when it arrived. */
union received {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct timespec))];
};

static int is_full(int error) { return error == EAGAIN || error == ENOBUFS; } /* EWOULDBLOCK is EAGAIN on Linux */

/* Words as in ring/slot.ts. All machines that are supported are little-endian. The transport id of UDP is 0. */
static void source_of(uint32_t words[CW_SOURCE_WORDS], const union address *a) {
    memset(words, 0, 4 * CW_SOURCE_WORDS);
    if (a->any.sa_family == AF_INET) {
        words[0] = (uint32_t)ntohs(a->v4.sin_port) << 16;
        words[3] = 0xffff0000u;
        words[4] = a->v4.sin_addr.s_addr;
    } else if (a->any.sa_family == AF_INET6) {
        words[0] = (uint32_t)ntohs(a->v6.sin6_port) << 16;
        memcpy(words + 1, &a->v6.sin6_addr, 16);
    }
}
/* Returns the length of `a`, or 0 where the socket cannot send there: no port, or IPv6 from an IPv4 socket. */
static socklen_t address_of(union address *a, int family, const uint32_t words[CW_SOURCE_WORDS]) {
    const uint16_t port = htons((uint16_t)(words[0] >> 16));
    const int is_v4 = words[1] == 0 && words[2] == 0 && words[3] == 0xffff0000u;
    if (port == 0 || (family == AF_INET && !is_v4)) return 0;
    memset(a, 0, sizeof *a);
    if (family == AF_INET) {
        a->v4.sin_family = AF_INET, a->v4.sin_port = port, a->v4.sin_addr.s_addr = words[4];
        return sizeof a->v4;
    }
    a->v6.sin6_family = AF_INET6, a->v6.sin6_port = port;
    memcpy(&a->v6.sin6_addr, words + 1, 16);
    return sizeof a->v6;
}

#define COARSE_NS 10000000 /* how far a coarse clock may be behind */
#define WAITED_US_MAX 0x7fffffff
static int64_t ns_of(const struct timespec *t) { return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec; }
static int64_t clock_ns(clockid_t clock) {
    struct timespec now = {0, 0};
    clock_gettime(clock, &now);
    return ns_of(&now);
}
/* The system's clock, by which the kernel notes arrivals, may be set meanwhile: then a wait seems negative, or hours. So
 * none is longer than the time since the socket was last seen empty, which the monotonic clock measures. */
static uint32_t waited_us(int64_t ns, int64_t most_ns) {
    if (ns > most_ns) ns = most_ns;
    return ns <= 0 ? 0 : ns / 1000 > WAITED_US_MAX ? WAITED_US_MAX : (uint32_t)(ns / 1000);
}
/* Reads what came with a message. Returns when it arrived, or `now`. */
static int64_t read_control(struct msghdr *header, struct cw_udp_message *m, int64_t now) {
    m->segment = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        int bytes;
        struct timespec arrived;
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&bytes, CMSG_DATA(c), sizeof bytes);
            m->segment = bytes > 0 ? (uint32_t)bytes : 0;
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            memcpy(&arrived, CMSG_DATA(c), sizeof arrived);
            now = ns_of(&arrived);
        }
    }
    return now;
}
static void cut_into(struct msghdr *header, union control *control, uint32_t segment) {
    const uint16_t bytes = (uint16_t)segment;
    header->msg_control = control;
    header->msg_controllen = CMSG_SPACE(sizeof bytes);
    struct cmsghdr *c = CMSG_FIRSTHDR(header);
    c->cmsg_level = SOL_UDP, c->cmsg_type = UDP_SEGMENT, c->cmsg_len = CMSG_LEN(sizeof bytes);
    memcpy(CMSG_DATA(c), &bytes, sizeof bytes);
}

int cw_udp_receive(struct cw_udp *s, uint32_t count) {
    struct mmsghdr headers[CW_UDP_BATCH];
    struct iovec parts[CW_UDP_BATCH];
    union address sources[CW_UDP_BATCH];
    union received controls[CW_UDP_BATCH];
    if (count > CW_UDP_BATCH) count = CW_UDP_BATCH;
    if (count > s->messages_max) count = s->messages_max;
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = (struct iovec){s->received + (size_t)i * CW_UDP_MESSAGE_STRIDE, CW_UDP_MESSAGE_STRIDE};
        headers[i].msg_hdr = (struct msghdr){.msg_name = &sources[i], .msg_namelen = sizeof sources[i], .msg_iov = &parts[i],
                                             .msg_iovlen = 1, .msg_control = &controls[i], .msg_controllen = sizeof controls[i]};
    }
    const int64_t coarse = s->has_times ? clock_ns(CLOCK_MONOTONIC_COARSE) : 0;
    int got = recvmmsg(s->fd, headers, count, MSG_DONTWAIT, 0);
    if (got < 0) {
        if (!is_full(errno) && errno != EINTR) return -errno;
        got = 0;
    }
    const int64_t now = s->has_times && got ? clock_ns(CLOCK_REALTIME) : 0, most = coarse - s->empty_at_ns + COARSE_NS;
    for (int i = 0; i < got; i++) {
        struct cw_udp_message *m = &s->messages[i];
        m->offset = (uint32_t)((size_t)i * CW_UDP_MESSAGE_STRIDE), m->length = headers[i].msg_len;
        m->waited_us = waited_us(now - read_control(&headers[i].msg_hdr, m, now), most);
        if (!headers[i].msg_hdr.msg_namelen) sources[i].any.sa_family = AF_UNSPEC;
        source_of(m->source, &sources[i]);
    }
    /* What comes next was not there when this call began. */
    if ((uint32_t)got < count) s->empty_at_ns = coarse;
    return got;
}

/* Whether `next` may follow in one message that is cut into segments of `first`'s length: only the last may be shorter. The
 * lowest byte of a source is not part of the address. */
static int follows(const struct cw_udp_packet *first, const struct cw_udp_packet *last, const struct cw_udp_packet *next) {
    return !first->alone && !next->alone && last->length == first->length && next->length && next->length <= first->length &&
           (first->destination[0] ^ next->destination[0]) >> 8 == 0 &&
           memcmp(first->destination + 1, next->destination + 1, 16) == 0;
}

/* Makes one message of the packets from `at` on: as many as may follow each other, at most `room`. Returns how many; 0 when
 * the first cannot be sent from this socket. */
static uint32_t join(struct cw_udp *s, uint32_t at, uint32_t room, struct mmsghdr *message, struct iovec *parts,
                     union address *name, union control *control) {
    const struct cw_udp_packet *first = &s->packets[at];
    const socklen_t name_length = address_of(name, s->family, first->destination);
    uint32_t used = 0, bytes = 0;
    if (!name_length) return 0;
    do {
        const struct cw_udp_packet *packet = &first[used];
        parts[used++] = (struct iovec){s->sending + packet->offset, packet->length};
        bytes += packet->length;
    } while (used < room && used < SEGMENTS_MAX && bytes + first->length <= CW_DATAGRAM_BYTES_MAX &&
             follows(first, &first[used - 1], &first[used]));
    message->msg_hdr = (struct msghdr){.msg_name = name, .msg_namelen = name_length, .msg_iov = parts, .msg_iovlen = used};
    if (used > 1) cut_into(&message->msg_hdr, control, first->length);
    return used;
}

#define PARTS_MAX (CW_UDP_BATCH * 4)
uint32_t cw_udp_send(struct cw_udp *s, uint32_t count) {
    struct mmsghdr messages[CW_UDP_BATCH];
    struct iovec parts[PARTS_MAX];
    union address names[CW_UDP_BATCH];
    union control controls[CW_UDP_BATCH];
    uint32_t packets[CW_UDP_BATCH]; /* of each message */
    /* Packets before this index are sent alone, since a message with several of them was refused. */
    uint32_t alone_until = 0, at = 0, lost = 0, waits = 0;
    if (count > s->packets_max) count = s->packets_max;
    while (at < count) {
        uint32_t n = 0;
        for (uint32_t next = at, used = 0; next < count && n < CW_UDP_BATCH && used < PARTS_MAX; n++) {
            const uint32_t left = count - next < PARTS_MAX - used ? count - next : PARTS_MAX - used;
            packets[n] = join(s, next, next < alone_until ? 1 : left, &messages[n], &parts[used], &names[n], &controls[n]);
            if (!packets[n]) break;
            next += packets[n], used += packets[n];
        }
        const int sent = n ? sendmmsg(s->fd, messages, n, MSG_DONTWAIT) : 0;
        if (sent > 0) {
            for (int i = 0; i < sent; i++) at += packets[i];
        } else if (n && errno == EINTR) {
            continue;
        } else if (n && is_full(errno)) {
            if (waits++ == FULL_WAITS_MAX) return lost + count - at;
            cw_udp_wait(s, FULL_WAIT_US, 1);
        } else if (n && packets[0] > 1) {
            alone_until = at + packets[0];
        } else {
            at++, lost++;
        }
    }
    return lost;
}

int cw_udp_send_segments(struct cw_udp *s, size_t offset, size_t bytes, uint32_t segment) {
    struct mmsghdr headers[CW_UDP_BATCH];
    struct iovec parts[CW_UDP_BATCH];
    union control controls[CW_UDP_BATCH];
    int datagrams = 0;
    while (bytes > 0) {
        const uint32_t fit = CW_DATAGRAM_BYTES_MAX / segment;
        const size_t most = (size_t)segment * (s->refuses_segments ? 1 : fit < SEGMENTS_MAX ? fit : SEGMENTS_MAX);
        unsigned messages = 0;
        for (size_t at = 0; at < bytes && messages < CW_UDP_BATCH; messages++, at += most) {
            const size_t length = bytes - at < most ? bytes - at : most;
            parts[messages] = (struct iovec){s->sending + offset + at, length};
            headers[messages].msg_hdr = (struct msghdr){.msg_iov = &parts[messages], .msg_iovlen = 1};
            if (length > segment) cut_into(&headers[messages].msg_hdr, &controls[messages], segment);
        }
        const int sent = sendmmsg(s->fd, headers, messages, MSG_DONTWAIT);
        if (sent <= 0) {
            if (errno == EINTR) continue;
            if (is_full(errno)) return datagrams;
            const int is_cut = parts[0].iov_len > segment;
            if (!is_cut || (errno != EINVAL && errno != EIO && errno != EMSGSIZE && errno != EOPNOTSUPP)) return datagrams ? datagrams : -errno;
            s->refuses_segments = 1;
            continue;
        }
        for (int i = 0; i < sent; i++) {
            datagrams += (int)((parts[i].iov_len + segment - 1) / segment);
            offset += parts[i].iov_len, bytes -= parts[i].iov_len;
        }
    }
    return datagrams;
}

int cw_udp_wait(const struct cw_udp *s, uint32_t wait_us, int want_write) {
    if (wait_us > WAIT_US_MAX) wait_us = WAIT_US_MAX;
    struct pollfd p = {.fd = s->fd, .events = (short)(POLLIN | (want_write ? POLLOUT : 0))};
    const struct timespec time = {.tv_sec = wait_us / 1000000, .tv_nsec = (long)(wait_us % 1000000) * 1000};
    if (ppoll(&p, 1, &time, 0) <= 0) return 0;
    return (p.revents & (POLLIN | POLLERR) ? 1 : 0) | (p.revents & POLLOUT ? 2 : 0);
}
#endif
