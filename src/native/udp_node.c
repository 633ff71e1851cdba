/* The Node-API binding of batched UDP. Each environment (thread) has its own table of sockets, so no socket is ever seen by
 * two threads. Readiness comes from uv_poll on the thread's own loop. Lengths are checked here, at open or
 * per call; JavaScript is trusted not to detach the memory it gave. */
#define NAPI_VERSION 8
#include "node_values.h"
#ifndef __linux__
void cw_udp_register(napi_env env, napi_value exports, const struct cw_arena *arena) { (void)env, (void)exports, (void)arena; }
#else
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libuv.h"
#include "udp.h"

#define SOCKETS_MAX 64 /* of one thread; a power of two */
#define HOST_BYTES 64 /* a literal with its zone fits */

struct environment;
struct entry {
    struct cw_udp udp;
    struct environment *owner;
    cw_uv_handle *poll;
    napi_ref callback, pins[4];
    uint32_t handle; /* how JavaScript names it: place + SOCKETS_MAX * a number that is not used twice */
};
struct environment {
    napi_env env;
    struct uv_loop_s *loop;
    const struct cw_arena *arena;
    struct entry *sockets[SOCKETS_MAX];
    uint32_t opened;
    uint32_t closing; /* uv handles whose close callback is still to come */
    napi_async_cleanup_hook_handle leaving;
};

static napi_value fail(napi_env env, const char *message) { return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", message); }
static napi_value integer(napi_env env, int64_t value) {
    napi_value v = 0;
    napi_create_int64(env, value, &v);
    return v;
}
/* Reads `count` integers from argument `first` on. Returns 0 where there are fewer. */
static int integers(napi_env env, const napi_value *argv, size_t argc, size_t first, size_t count, uint32_t *values) {
    if (argc < first + count) return 0;
    for (size_t i = 0; i < count; i++)
        if (napi_get_value_uint32(env, argv[first + i], &values[i]) != napi_ok) return 0;
    return 1;
}

/* Reads the arguments of a call on a socket: its handle, then `count` integers. Throws and returns 0 if they are not that. */
static struct entry *called(napi_env env, napi_callback_info info, size_t count, uint32_t *values) {
    size_t argc = 5;
    napi_value argv[5];
    uint32_t handle;
    void *data = 0;
    napi_get_cb_info(env, info, &argc, argv, 0, &data);
    struct environment *self = data;
    struct entry *e = 0;
    if (integers(env, argv, argc, 0, 1, &handle)) e = self->sockets[handle % SOCKETS_MAX];
    if (!e || e->handle != handle) return fail(env, "udp: expected the handle of an open socket of this thread"), (struct entry *)0;
    if (!integers(env, argv, argc, 1, count, values)) return fail(env, "udp: expected integers after the handle"), (struct entry *)0;
    return e;
}

static void leave(struct environment *self) {
    if (self->closing || !self->leaving) return;
    napi_remove_async_cleanup_hook(self->leaving);
    free(self);
}
static void on_closed(cw_uv_handle *poll) {
    struct environment *self = uv_handle_get_data(poll);
    free(poll);
    self->closing--;
    leave(self);
}
/* Frees the entry; no JavaScript, so that it serves a dying environment too. */
static void close_entry(struct entry *e) {
    struct environment *self = e->owner;
    if (e->poll) {
        uv_handle_set_data(e->poll, self);
        self->closing++;
        uv_close(e->poll, on_closed);
    }
    if (e->udp.fd >= 0) close(e->udp.fd);
    self->sockets[e->handle % SOCKETS_MAX] = 0;
    free(e);
}
static void release(napi_env env, struct entry *e) {
    if (e->callback) napi_delete_reference(env, e->callback);
    for (size_t i = 0; i < sizeof e->pins / sizeof *e->pins; i++)
        if (e->pins[i]) napi_delete_reference(env, e->pins[i]);
}
/* The thread ends, terminated or not. Its loop still runs until every close callback has come; then memory may be freed. */
static void on_cleanup(napi_async_cleanup_hook_handle hook, void *data) {
    struct environment *self = data;
    self->leaving = hook;
    for (uint32_t i = 0; i < SOCKETS_MAX; i++)
        if (self->sockets[i]) close_entry(self->sockets[i]);
    leave(self);
}

/* An error (ICMP, on a connected socket) stops a poll: it is read, the callback gets it, a negative errno, and polling goes on. */
static void on_readable(cw_uv_handle *poll, int status, int events) {
    (void)events;
    struct entry *e = uv_handle_get_data(poll);
    const napi_env env = e->owner->env;
    napi_handle_scope scope;
    napi_value callback, receiver, error, argument;
    bool is_pending = false;
    const int code = status < 0 ? cw_udp_error(&e->udp) : 0;
    if (status < 0) uv_poll_start(poll, CW_UV_READABLE, on_readable);
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    /* The call may free `e`. Nobody can catch its exception, as in any callback of the loop. */
    if (napi_get_reference_value(env, e->callback, &callback) == napi_ok && napi_get_global(env, &receiver) == napi_ok &&
        napi_create_int32(env, code, &argument) == napi_ok && napi_make_callback(env, 0, receiver, callback, code < 0, &argument, 0) != napi_ok &&
        napi_is_exception_pending(env, &is_pending) == napi_ok && is_pending &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
        napi_fatal_exception(env, error);
    napi_close_handle_scope(env, scope);
}

/* The last four arguments of udpOpen: received, messages, sending, packets. They are kept alive while the socket is open. */
static int use_memory(napi_env env, struct entry *e, const napi_value *argv) {
    static const napi_typedarray_type types[4] = {napi_uint8_array, napi_uint32_array, napi_uint8_array, napi_uint32_array};
    size_t elements[4];
    void *data[4];
    for (int i = 0; i < 4; i++)
        if (!cw_view(env, argv[i], types[i], &data[i], &elements[i]) || elements[i] > UINT32_MAX) return 0;
    for (int i = 0; i < 4; i++)
        if (napi_create_reference(env, argv[i], 1, &e->pins[i]) != napi_ok) return 0;
    const size_t strides = elements[0] / CW_UDP_MESSAGE_STRIDE, records = elements[1] / CW_UDP_RECORD_WORDS;
    e->udp.received = data[0], e->udp.messages = data[1], e->udp.sending = data[2], e->udp.packets = data[3];
    e->udp.messages_max = (uint32_t)(strides < records ? strides : records);
    e->udp.sending_bytes = elements[2];
    e->udp.packets_max = (uint32_t)(elements[3] / CW_UDP_RECORD_WORDS);
    return 1;
}
/* Reads a literal address, or ''. */
static int host_of(napi_env env, napi_value value, char *host) {
    size_t length;
    return napi_get_value_string_utf8(env, value, host, HOST_BYTES, &length) == napi_ok;
}
/* udpOpen(host, connectHost, port, connectPort, flags, receiveBytes, received, messages, sending, packets)
 * -> handle, or -errno. Hosts are literals or ''. */
static napi_value udp_open(napi_env env, napi_callback_info info) {
    size_t argc = 10;
    napi_value argv[10];
    char hosts[2][HOST_BYTES];
    uint32_t v[4], place = 0;
    void *data = 0;
    napi_get_cb_info(env, info, &argc, argv, 0, &data);
    struct environment *self = data;
    if (argc < 10 || !host_of(env, argv[0], hosts[0]) || !host_of(env, argv[1], hosts[1]) || !integers(env, argv, argc, 2, 4, v))
        return fail(env, "udpOpen: expected two hosts, four integers and four arrays");
    while (place < SOCKETS_MAX && self->sockets[place]) place++;
    if (place == SOCKETS_MAX) return integer(env, -EMFILE);
    struct entry *e = calloc(1, sizeof *e);
    if (!e) return integer(env, -ENOMEM);
    e->owner = self, e->udp.fd = -1;
    const int has_memory = use_memory(env, e, argv + 6);
    const int failed = has_memory ? cw_udp_open(&e->udp, hosts[0], v[0], hosts[1], v[1], v[2], v[3]) : -EINVAL;
    if (failed) {
        release(env, e), free(e);
        return has_memory ? integer(env, failed) : fail(env, "udpOpen: expected a Uint8Array and a Uint32Array, twice");
    }
    e->handle = place + SOCKETS_MAX * (self->opened++ & 0x1ffffff);
    self->sockets[place] = e;
    return integer(env, e->handle);
}
/* streamBind(host, port, flags) -> fd, or -errno. The host is a literal. */
static napi_value stream_bind(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(3);
    char host[HOST_BYTES];
    uint32_t v[2];
    if (argc < 3 || !host_of(env, argv[0], host) || !integers(env, argv, argc, 1, 2, v))
        return fail(env, "streamBind: expected a host and two integers");
    return integer(env, cw_stream_bind(host, v[0], v[1]));
}
/* udpPoll(handle, callback): calls it whenever there is something to read, until udpStop. Returns 0 or -errno. */
static napi_value udp_poll(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(2);
    napi_valuetype type;
    struct entry *e = called(env, info, 0, 0);
    if (!e) return 0;
    if (argc < 2 || e->poll || napi_typeof(env, argv[1], &type) != napi_ok || type != napi_function) return fail(env, "udpPoll: expected a function, once");
    cw_uv_handle *poll = calloc(1, uv_handle_size(CW_UV_POLL));
    if (!poll) return integer(env, -ENOMEM);
    const int failed = uv_poll_init(e->owner->loop, poll, e->udp.fd);
    if (failed) return free(poll), integer(env, failed);
    uv_handle_set_data(poll, e);
    e->poll = poll;
    napi_create_reference(env, argv[1], 1, &e->callback);
    return integer(env, uv_poll_start(poll, CW_UV_READABLE, on_readable));
}
static napi_value udp_stop(napi_env env, napi_callback_info info) {
    struct entry *e = called(env, info, 0, 0);
    if (e && e->poll) uv_poll_stop(e->poll);
    return 0;
}
static napi_value udp_close(napi_env env, napi_callback_info info) {
    struct entry *e = called(env, info, 0, 0);
    if (!e) return 0;
    release(env, e);
    close_entry(e);
    return 0;
}
/* udpAddress(handle) -> H:P */
static napi_value udp_address(napi_env env, napi_callback_info info) {
    char text[64] = "";
    napi_value v = 0;
    struct entry *e = called(env, info, 0, 0);
    if (!e) return 0;
    if (cw_udp_address(&e->udp, text)) return fail(env, "udpAddress: expected a bound socket");
    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &v);
    return v;
}
static napi_value udp_receive_buffer_bytes(napi_env env, napi_callback_info info) {
    struct entry *e = called(env, info, 0, 0);
    return e ? integer(env, cw_udp_receive_buffer_bytes(&e->udp)) : 0;
}
/* udpDrops(handle) -> messages dropped, modulo 2^32, + 2^32 * how full the receive buffer is, of CW_UDP_FULL: one call a turn */
static napi_value udp_drops(napi_env env, napi_callback_info info) {
    uint32_t full;
    struct entry *e = called(env, info, 0, 0);
    if (!e) return 0;
    const uint32_t drops = cw_udp_drops(&e->udp, &full);
    return integer(env, (int64_t)full << 32 | drops);
}
static napi_value give_program(napi_env env, napi_callback_info info, int (*give)(const struct cw_udp *, const void *, uint32_t)) {
    CW_ARGUMENTS(3);
    uint32_t instructions;
    size_t words;
    void *program;
    struct entry *e = called(env, info, 1, &instructions);
    if (!e) return 0;
    if (argc < 3 || !cw_view(env, argv[2], napi_uint32_array, &program, &words) || instructions > words / 2)
        return fail(env, "udpFilter, udpSteer: expected two words for each instruction");
    return integer(env, give(&e->udp, program, instructions));
}
/* udpFilter(handle, instructions, program) -> 0 or -errno. The program is a Uint32Array of two words an instruction. */
static napi_value udp_filter(napi_env env, napi_callback_info info) { return give_program(env, info, cw_udp_filter); }
/* udpSteer(handle, instructions, program) -> 0 or -errno */
static napi_value udp_steer(napi_env env, napi_callback_info info) { return give_program(env, info, cw_udp_steer); }
/* udpTimes(handle, hasTimes): 1 where the kernel notes from now on when messages arrive, else 0 */
static napi_value udp_times(napi_env env, napi_callback_info info) {
    uint32_t has_times;
    struct entry *e = called(env, info, 1, &has_times);
    if (e) cw_udp_times(&e->udp, has_times != 0);
    return 0;
}
/* udpReceive(handle, messagesMax) -> messages, or -errno */
static napi_value udp_receive(napi_env env, napi_callback_info info) {
    uint32_t count;
    struct entry *e = called(env, info, 1, &count);
    return e ? integer(env, cw_udp_receive(&e->udp, count)) : 0;
}
/* udpSend(handle, count) -> packets lost. The records are JavaScript's, so they are checked. */
static napi_value udp_send(napi_env env, napi_callback_info info) {
    uint32_t count;
    struct entry *e = called(env, info, 1, &count);
    if (!e) return 0;
    if (count > e->udp.packets_max) return fail(env, "udpSend: expected at most as many packets as there are records");
    for (uint32_t i = 0; i < count; i++) {
        const struct cw_udp_packet *p = &e->udp.packets[i];
        if (p->length > CW_DATAGRAM_BYTES_MAX || (size_t)p->offset + p->length > e->udp.sending_bytes) return fail(env, "udpSend: expected packets inside the sending memory");
    }
    return integer(env, cw_udp_send(&e->udp, count));
}
/* udpSendSegments(handle, offset, bytes, segmentBytes) -> datagrams sent, or -errno */
static napi_value udp_send_segments(napi_env env, napi_callback_info info) {
    uint32_t v[3];
    struct entry *e = called(env, info, 3, v);
    if (!e) return 0;
    if ((size_t)v[0] + v[1] > e->udp.sending_bytes || v[2] < 1 || v[2] > CW_DATAGRAM_BYTES_MAX) return fail(env, "udpSendSegments: expected bytes inside the sending memory, in segments of 1..65507");
    return integer(env, cw_udp_send_segments(&e->udp, v[0], v[1], v[2]));
}
/* udpWait(handle, waitUs, wantWrite) -> bits: 1 readable, 2 writable */
static napi_value udp_wait(napi_env env, napi_callback_info info) {
    uint32_t v[2];
    struct entry *e = called(env, info, 2, v);
    return e ? integer(env, cw_udp_wait(&e->udp, v[0], v[1] != 0)) : 0;
}
/* udpGather(handle, offset, firstSequence, count): copies claims from the attached ring's slots into the sending memory, back
 * to back. A copy of 96 bytes, three more than a claim, is six vector moves; the next claim overwrites the three. */
static napi_value udp_gather(napi_env env, napi_callback_info info) {
    uint32_t v[3];
    struct entry *e = called(env, info, 3, v);
    if (!e) return 0;
    const struct cw_arena *arena = e->owner->arena;
    if (!arena->base || v[2] > arena->slot_mask + 1 || v[0] + (size_t)v[2] * CW_CLAIM_BYTES > e->udp.sending_bytes)
        return fail(env, "udpGather: expected attach() before, and room for claims of at most one ring");
    uint8_t *to = e->udp.sending + v[0];
    for (uint32_t i = 0; i < v[2]; i++, to += CW_CLAIM_BYTES) {
        const uint8_t *slot = cw_arena_slot(arena, v[1] + i);
        if (i + 1 < v[2]) memcpy(to, slot, 96);
        else memcpy(to, slot, CW_CLAIM_BYTES);
    }
    return 0;
}

void cw_udp_register(napi_env env, napi_value exports, const struct cw_arena *arena) {
    struct environment *self = calloc(1, sizeof *self);
    if (!self) return;
    self->env = env, self->arena = arena;
    if (napi_get_uv_event_loop(env, &self->loop) != napi_ok || napi_add_async_cleanup_hook(env, on_cleanup, self, 0) != napi_ok) {
        free(self);
        return;
    }
    static const struct cw_function functions[] = {
        {"udpOpen", udp_open}, {"udpPoll", udp_poll}, {"udpStop", udp_stop}, {"udpClose", udp_close},
        {"udpAddress", udp_address}, {"udpReceiveBufferBytes", udp_receive_buffer_bytes}, {"udpDrops", udp_drops}, {"udpTimes", udp_times},
        {"udpFilter", udp_filter}, {"udpSteer", udp_steer},
        {"udpReceive", udp_receive}, {"udpSend", udp_send}, {"udpSendSegments", udp_send_segments},
        {"udpWait", udp_wait}, {"udpGather", udp_gather}, {"streamBind", stream_bind}};
    cw_export(env, exports, self, functions, sizeof functions / sizeof *functions);
}
#endif
