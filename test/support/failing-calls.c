/* Preloaded into a process by tests, and loaded by it as an addon: system calls, and allocations, that the C addon (claimwire.node)
 * makes fail as the test says, those that Node.js itself makes do not. One kind of call at a time:
 *   arm(name, errno, which, skip, times)   which: the option of a socket option or of prctl, else -1; `skip` calls go well before
 *   armed() -> how many failures are still to come */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <node_api.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static char armed_name[32];
static int error_of, which_of, skip_left;
static _Atomic int times_left;

/* Of epoll_ctl alone the caller is Node.js, on the addon's behalf. */
static int is_ours(const char *name, const void *caller) {
    Dl_info info;
    if (!strcmp(name, "epoll_ctl")) return 1;
    return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "claimwire.node");
}
/* The errno that this call has to fail with, or 0. */
static int fault_of(const char *name, int which, const void *caller) {
    if (!times_left || strcmp(name, armed_name) || (which_of >= 0 && which != which_of) || !is_ours(name, caller)) return 0;
    if (skip_left-- > 0) return 0;
    times_left--;
    return error_of;
}
#define CALLER __builtin_return_address(0)
/* Defines `name` so that it fails when armed for, and otherwise does what it always did. */
#define FAILS(type, name, which, failed, parameters, arguments) \
    type name parameters { \
        const int error = fault_of(#name, which, CALLER); \
        if (error) return errno = error, failed(error); \
        return ((type (*) parameters)dlsym(RTLD_NEXT, #name)) arguments; \
    }
#define MINUS_ONE(error) -1
#define THE_ERROR(error) (error)
#define NOTHING(error) ((void *)0)
#define NOWHERE(error) MAP_FAILED

FAILS(int, socket, -1, MINUS_ONE, (int family, int type, int protocol), (family, type, protocol))
FAILS(int, bind, -1, MINUS_ONE, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
FAILS(int, connect, -1, MINUS_ONE, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
FAILS(int, getsockname, -1, MINUS_ONE, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length))
FAILS(int, setsockopt, option, MINUS_ONE, (int fd, int level, int option, const void *value, socklen_t length), (fd, level, option, value, length))
FAILS(int, getsockopt, option, MINUS_ONE, (int fd, int level, int option, void *value, socklen_t *length), (fd, level, option, value, length))
FAILS(int, recvmmsg, -1, MINUS_ONE, (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout), (fd, messages, count, flags, timeout))
FAILS(int, sendmmsg, -1, MINUS_ONE, (int fd, struct mmsghdr *messages, unsigned count, int flags), (fd, messages, count, flags))
FAILS(int, ppoll, -1, MINUS_ONE, (struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask), (fds, count, timeout, mask))
FAILS(int, epoll_ctl, -1, MINUS_ONE, (int epoll, int operation, int fd, struct epoll_event *event), (epoll, operation, fd, event))
FAILS(int, pthread_create, -1, THE_ERROR, (pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *data), (thread, attributes, run, data))
FAILS(int, sched_setscheduler, -1, MINUS_ONE, (pid_t id, int policy, const struct sched_param *parameters), (id, policy, parameters))
FAILS(int, sched_getaffinity, -1, MINUS_ONE, (pid_t id, size_t bytes, cpu_set_t *cores), (id, bytes, cores))
FAILS(int, sched_setaffinity, -1, MINUS_ONE, (pid_t id, size_t bytes, const cpu_set_t *cores), (id, bytes, cores))
FAILS(DIR *, opendir, -1, NOTHING, (const char *path), (path))
FAILS(int, madvise, -1, MINUS_ONE, (void *memory, size_t bytes, int advice), (memory, bytes, advice))
FAILS(void *, mmap, -1, NOWHERE, (void *at, size_t bytes, int access, int flags, int fd, off_t offset), (at, bytes, access, flags, fd, offset))
FAILS(void *, dlopen, -1, NOTHING, (const char *path, int flags), (path, flags))

int prctl(int option, ...) {
    unsigned long values[4];
    va_list list;
    const int error = fault_of("prctl", option, CALLER);
    if (error) return errno = error, -1;
    va_start(list, option);
    for (int i = 0; i < 4; i++) values[i] = va_arg(list, unsigned long);
    va_end(list);
    return ((int (*)(int, ...))dlsym(RTLD_NEXT, "prctl"))(option, values[0], values[1], values[2], values[3]);
}
/* Not by the next one, which dlsym itself may ask for memory. */
void *calloc(size_t count, size_t bytes) {
    size_t size;
    const int error = times_left ? fault_of("calloc", -1, CALLER) : 0;
    if (error || __builtin_mul_overflow(count, bytes, &size)) return errno = ENOMEM, (void *)0;
    void *memory = malloc(size);
    return memory ? memset(memory, 0, size) : memory;
}
void *aligned_alloc(size_t alignment, size_t size) {
    void *memory = 0;
    if (times_left && fault_of("aligned_alloc", -1, CALLER)) return errno = ENOMEM, (void *)0;
    return posix_memalign(&memory, alignment, size) ? 0 : memory;
}

static napi_value arm(napi_env env, napi_callback_info info) {
    size_t argc = 5, length;
    napi_value argv[5];
    int32_t values[4];
    napi_get_cb_info(env, info, &argc, argv, 0, 0);
    times_left = 0;
    napi_get_value_string_utf8(env, argv[0], armed_name, sizeof armed_name, &length);
    for (int i = 0; i < 4; i++) napi_get_value_int32(env, argv[i + 1], &values[i]);
    error_of = values[0], which_of = values[1], skip_left = values[2], times_left = values[3];
    return 0;
}
static napi_value armed(napi_env env, napi_callback_info info) {
    (void)info;
    napi_value result;
    napi_create_int32(env, times_left, &result);
    return result;
}
NAPI_MODULE_INIT() {
    napi_value f;
    napi_create_function(env, "arm", NAPI_AUTO_LENGTH, arm, 0, &f);
    napi_set_named_property(env, exports, "arm", f);
    napi_create_function(env, "armed", NAPI_AUTO_LENGTH, armed, 0, &f);
    napi_set_named_property(env, exports, "armed", f);
    return exports;
}
