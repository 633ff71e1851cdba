/* UDP in batches on Linux: a socket and its operations, without Node-API (udp_node.c binds it).
 *
 * A socket belongs to the thread that opened it. Its staging memory is JavaScript's; the opener keeps it alive. Results are
 * counts, or -errno. Messages and packets are described in records of CW_UDP_RECORD_WORDS u32 words. */
#ifndef CLAIMWIRE_UDP_H
#define CLAIMWIRE_UDP_H
#include <stddef.h>
#include <stdint.h>
#include "layout_generated.h"

/* Numbers of Linux that older C libraries do not name. The system's headers have to be included before this file. */
#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
enum { CW_SK_MEMINFO_RMEM_ALLOC = 0, CW_SK_MEMINFO_RCVBUF = 1, CW_SK_MEMINFO_DROPS = 8, CW_SK_MEMINFO_VARS = 9 };
/* What a receive buffer without room is said to be filled by. */
#define CW_UDP_FULL 256

/* A received message, written by cw_udp_receive: its place and length, its source, and in `segment`, where the kernel joined
 * several datagrams, the length of each but the last (otherwise 0). */
struct cw_udp_message {
    uint32_t offset, length, segment;
    uint32_t source[CW_SOURCE_WORDS];
    uint32_t waited_us; /* in the socket, where it was opened with CW_UDP_TIMES; otherwise 0 */
};
/* A packet to be sent. `destination` has the form of `source`. One that is `alone` is never joined with others: of a message
 * that it drops a receiver's kernel counts one. */
struct cw_udp_packet {
    uint32_t offset, length, alone;
    uint32_t destination[CW_SOURCE_WORDS];
    uint32_t unused_too;
};

/* Flags. CW_UDP_REUSE: other sockets with this flag may bind the same address and share what arrives. CW_UDP_EXCLUSIVE: but
 * this one must be the first. CW_UDP_GRO: datagrams of one source may arrive joined. CW_UDP_TIMES: the kernel notes when
 * each arrived. */
struct cw_udp {
    int fd, family;
    int has_times;        /* opened with CW_UDP_TIMES */
    int64_t empty_at_ns;  /* nothing that is read now arrived before this, by CLOCK_MONOTONIC_COARSE */
    int refuses_segments; /* the kernel or device does not support UDP_SEGMENT: each datagram is sent alone */
    uint8_t *received;    /* `messages_max` strides */
    struct cw_udp_message *messages;
    uint32_t messages_max;
    uint8_t *sending;
    size_t sending_bytes;
    struct cw_udp_packet *packets;
    uint32_t packets_max;
};

/* Hosts are literal addresses; port 0 lets the system choose. An empty host leaves the address to connect, an empty
 * connect_host leaves the socket unconnected. receive_bytes 0 keeps the system's buffer size. Sets fd and family. Returns 0
 * or -errno. */
int cw_udp_open(struct cw_udp *socket, const char *host, uint32_t port, const char *connect_host, uint32_t connect_port,
                uint32_t flags, uint32_t receive_bytes);
/* Returns the fd of a bound stream socket for the caller to listen on, or -errno. So lanes share a TCP port as they do UDP. */
int cw_stream_bind(const char *host, uint32_t port, uint32_t flags);
/* Whether the kernel notes from now on when messages arrive. */
void cw_udp_times(struct cw_udp *socket, int has_times);
/* The bound address as H:P or [H]:P; `text` has room for 64. */
int cw_udp_address(const struct cw_udp *socket, char *text);
int cw_udp_receive_buffer_bytes(const struct cw_udp *socket);
/* Messages that the kernel dropped, for want of room or by the filter, modulo 2^32. `full`: how much of the receive buffer is
 * taken, of CW_UDP_FULL. */
uint32_t cw_udp_drops(const struct cw_udp *socket, uint32_t *full);
/* From now on the kernel asks this program of classic BPF, `instructions` of 8 bytes, whether a message may enter the receive
 * buffer; it sees the message from its UDP header on. None: every message may. Returns 0, or -errno with nothing changed. */
int cw_udp_filter(const struct cw_udp *socket, const void *program, uint32_t instructions);
/* From now on the kernel asks this program of classic BPF which of the sockets that share the address, from 0 in the order of their binds,
 * gets a message; it sees the message from behind its UDP header on. With no such socket the kernel chooses. Returns 0 or -errno. */
int cw_udp_steer(const struct cw_udp *socket, const void *program, uint32_t instructions);
/* Returns and clears a pending error, such as ICMP leaves on a connected socket. */
int cw_udp_error(const struct cw_udp *socket);

/* Receives up to `count` messages into records 0, 1, ... Returns how many; 0 when there are none. */
int cw_udp_receive(struct cw_udp *socket, uint32_t count);
/* Sends the packets of records 0..count-1; waits a bounded time for a full queue. Returns how many were lost. */
uint32_t cw_udp_send(struct cw_udp *socket, uint32_t count);
/* For a connected socket: sends `bytes` from `offset` as datagrams of `segment` bytes, the last one shorter. Returns how many
 * were sent: fewer when the queue is full. */
int cw_udp_send_segments(struct cw_udp *socket, size_t offset, size_t bytes, uint32_t segment);
/* Waits at most wait_us. Returns bit 0: readable, or there is an error to read; bit 1: writable. */
int cw_udp_wait(const struct cw_udp *socket, uint32_t wait_us, int want_write);
#endif
