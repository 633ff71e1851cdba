/* UDP in batches: what one socket is, and what can be done with it. Linux; no Node-API here (udp_node.c binds it).
 *
 * A socket belongs to the thread that opened it. Its staging memory is JavaScript's, pinned by whoever opens. Results are
 * counts, or -errno. Messages and packets are described in records of eight u32 words. */
#ifndef CLAIMWIRE_UDP_H
#define CLAIMWIRE_UDP_H
#include <stddef.h>
#include <stdint.h>

#define CW_UDP_BATCH 64 /* messages of one system call */
/* A maximum-size datagram or GRO train fits. Two lines off a power of two: at equal distances of 2^k every message
 * would begin in the same cache set. */
#define CW_UDP_MESSAGE_STRIDE (65536 + 128)
#define CW_UDP_SOURCE_WORDS 5 /* as in ring/slot.ts */
#define CW_UDP_RECORD_WORDS 8

/* Received: where it lies, its length, the length of each datagram but the last where the kernel joined several (else 0),
 * the source. Written by cw_udp_receive. */
struct cw_udp_message {
    uint32_t offset, length, segment;
    uint32_t source[CW_UDP_SOURCE_WORDS];
};
/* To be sent: `destination` means what `source` does. */
struct cw_udp_packet {
    uint32_t offset, length, unused;
    uint32_t destination[CW_UDP_SOURCE_WORDS];
};

enum cw_udp_flags {
    CW_UDP_REUSE = 1,     /* others may bind the same address with this flag and share what arrives */
    CW_UDP_EXCLUSIVE = 2, /* ... but nobody has done so before */
    CW_UDP_GRO = 4,       /* datagrams of one source may arrive joined */
};

struct cw_udp {
    int fd, family;
    int refuses_segments; /* the kernel or the device will not cut (UDP_SEGMENT): datagram by datagram then */
    uint8_t *received;    /* `messages_max` strides */
    struct cw_udp_message *messages;
    uint32_t messages_max;
    uint8_t *sending;
    size_t sending_bytes;
    struct cw_udp_packet *packets;
    uint32_t packets_max;
};

/* Literal addresses, port 0 as ever; host "" binds only as connecting does, connect_host "" leaves it unconnected.
 * Buffer sizes of 0 keep the system's. Sets fd and family. 0 or -errno. */
int cw_udp_open(struct cw_udp *socket, const char *host, uint32_t port, const char *connect_host, uint32_t connect_port,
                uint32_t flags, uint32_t receive_bytes, uint32_t send_bytes);
/* A bound stream socket, to be listened on by whoever takes it: lanes share a TCP port as they share a UDP one. The fd, or
 * -errno. */
int cw_stream_bind(const char *host, uint32_t port, uint32_t flags);
/* The bound address as H:P or [H]:P; `text` has room for 64. */
int cw_udp_address(const struct cw_udp *socket, char *text);
int cw_udp_receive_buffer_bytes(const struct cw_udp *socket);
/* Messages the kernel had no room for, modulo 2^32. */
uint32_t cw_udp_drops(const struct cw_udp *socket);
/* Clears a pending error, as one ICMP leaves on a connected socket. */
int cw_udp_error(const struct cw_udp *socket);

/* Up to `count` messages into records 0, 1, ...; 0 when there are none. */
int cw_udp_receive(struct cw_udp *socket, uint32_t count);
/* Sends the packets of records 0..count-1; waits a bounded time for a full queue. Returns how many were lost. */
uint32_t cw_udp_send(struct cw_udp *socket, uint32_t count);
/* Connected: `bytes` from `offset` as datagrams of `segment` bytes, the last one shorter. Returns datagrams sent, which a
 * full queue makes fewer. */
int cw_udp_send_segments(struct cw_udp *socket, size_t offset, size_t bytes, uint32_t segment);
/* Bit 0: readable, or an error to be read; bit 1: writable. */
int cw_udp_wait(const struct cw_udp *socket, uint32_t wait_us, int want_write);
#endif
