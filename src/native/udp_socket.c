/* Opens sockets and reads their properties. Nothing here is hot. */
#ifdef __linux__
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "udp.h"

static int set(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof value); }

/* Parses a literal address of `family` (AF_UNSPEC: either). Returns 0 or -EADDRNOTAVAIL. */
static int parse(const char *host, uint32_t port, int family, struct sockaddr_storage *address, socklen_t *length) {
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = 0;
    char service[8];
    if (family == AF_INET6) hints.ai_flags |= AI_V4MAPPED;
    snprintf(service, sizeof service, "%u", (unsigned)(port & 0xffff));
    if (getaddrinfo(host, service, &hints, &found) || !found) return -EADDRNOTAVAIL;
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* SO_REUSEPORT set before bind joins sockets that have the address, even another node's. Set after bind it only lets others
 * join later: the bind itself fails if the address is in use. */
static int bind_to(int fd, const struct sockaddr_storage *address, socklen_t length, uint32_t flags) {
    const int shares = (flags & CW_UDP_REUSE) != 0, first = (flags & CW_UDP_EXCLUSIVE) != 0;
    if (shares && !first && set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return -1;
    if (bind(fd, (const struct sockaddr *)address, length)) return -1;
    return shares && first ? set(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
}

void cw_udp_times(struct cw_udp *s, int has_times) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    s->empty_at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    s->has_times = !set(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, has_times) && has_times;
}

static int prepare(struct cw_udp *s, const char *host, uint32_t port, const char *connect_host, uint32_t connect_port,
                   uint32_t flags, uint32_t receive_bytes) {
    struct sockaddr_storage address, peer;
    socklen_t length = 0, peer_length = 0;
    int failed;
    if (*host && (failed = parse(host, port, AF_UNSPEC, &address, &length))) return failed;
    if (*connect_host && (failed = parse(connect_host, connect_port, *host ? address.ss_family : AF_UNSPEC, &peer, &peer_length))) return failed;
    if (!length && !peer_length) return -EADDRNOTAVAIL;
    s->family = length ? address.ss_family : peer.ss_family;
    s->fd = socket(s->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) return -errno;
    if (s->family == AF_INET6 && set(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) return -errno;
    if (receive_bytes && set(s->fd, SOL_SOCKET, SO_RCVBUF, (int)receive_bytes)) return -errno;
    /* A kernel before 5.0 has no GRO for UDP and delivers datagrams one by one. */
    if (flags & CW_UDP_GRO) set(s->fd, SOL_UDP, UDP_GRO, 1);
    if (flags & CW_UDP_TIMES) cw_udp_times(s, 1);
    if (length && bind_to(s->fd, &address, length, flags)) return -errno;
    if (peer_length && connect(s->fd, (const struct sockaddr *)&peer, peer_length)) return -errno;
    return 0;
}

int cw_udp_open(struct cw_udp *s, const char *host, uint32_t port, const char *connect_host, uint32_t connect_port,
                uint32_t flags, uint32_t receive_bytes) {
    s->fd = -1;
    const int failed = prepare(s, host, port, connect_host, connect_port, flags, receive_bytes);
    if (failed && s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
    return failed;
}

int cw_stream_bind(const char *host, uint32_t port, uint32_t flags) {
    struct sockaddr_storage address;
    socklen_t length;
    const int failed = parse(host, port, AF_UNSPEC, &address, &length);
    if (failed) return failed;
    const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    /* SO_REUSEADDR: a port with nothing but old connections in TIME_WAIT is free. */
    if (!set(fd, SOL_SOCKET, SO_REUSEADDR, 1) && (address.ss_family != AF_INET6 || !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) &&
        !bind_to(fd, &address, length, flags))
        return fd;
    const int error = errno;
    close(fd);
    return -error;
}

int cw_udp_address(const struct cw_udp *s, char *text) {
    union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } a = {0};
    socklen_t length = sizeof a;
    char host[INET6_ADDRSTRLEN];
    if (getsockname(s->fd, &a.any, &length)) return -errno;
    const int is_v6 = a.any.sa_family == AF_INET6;
    if (!inet_ntop(a.any.sa_family, is_v6 ? (void *)&a.v6.sin6_addr : (void *)&a.v4.sin_addr, host, sizeof host)) return -errno;
    snprintf(text, 64, is_v6 ? "[%s]:%u" : "%s:%u", host, (unsigned)ntohs(is_v6 ? a.v6.sin6_port : a.v4.sin_port));
    return 0;
}

static int ask(const struct cw_udp *s, int option) {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(s->fd, SOL_SOCKET, option, &value, &length) ? 0 : value;
}
int cw_udp_receive_buffer_bytes(const struct cw_udp *s) { return ask(s, SO_RCVBUF); }
int cw_udp_error(const struct cw_udp *s) { return -ask(s, SO_ERROR); }

/* Reads the counter itself rather than SO_RXQ_OVFL, which is reported only with the next datagram that fits. */
uint32_t cw_udp_drops(const struct cw_udp *s, uint32_t *full) {
    uint32_t info[CW_SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof info;
    *full = 0;
    if (getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, info, &length)) return 0;
    const uint64_t used = info[CW_SK_MEMINFO_RMEM_ALLOC], room = info[CW_SK_MEMINFO_RCVBUF];
    if (room) *full = used < room ? (uint32_t)(used * CW_UDP_FULL / room) : CW_UDP_FULL;
    return info[CW_SK_MEMINFO_DROPS];
}

int cw_udp_filter(const struct cw_udp *s, const void *program, uint32_t instructions) {
    struct sock_filter none = {0, 0, 0, 0};
    const struct sock_fprog given = {.len = (unsigned short)instructions, .filter = instructions ? (struct sock_filter *)program : &none};
    if (instructions > BPF_MAXINSNS) return -EINVAL;
    return setsockopt(s->fd, SOL_SOCKET, instructions ? SO_ATTACH_FILTER : SO_DETACH_FILTER, &given, sizeof given) ? -errno : 0;
}

int cw_udp_steer(const struct cw_udp *s, const void *program, uint32_t instructions) {
    const struct sock_fprog given = {.len = (unsigned short)instructions, .filter = (struct sock_filter *)program};
    if (!instructions || instructions > BPF_MAXINSNS) return -EINVAL;
    return setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &given, sizeof given) ? -errno : 0;
}
#endif
