/* Preloaded into a node by tests: whatever receive buffer a datagram socket asks for, it gets CLAIMWIRE_TEST_BUFFER bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>

int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
    int (*next)(int, int, int, const void *, socklen_t) = (__typeof__(next))dlsym(RTLD_NEXT, "setsockopt");
    const char *asked = getenv("CLAIMWIRE_TEST_BUFFER");
    const int bytes = asked ? atoi(asked) : 0;
    int type = 0;
    socklen_t size = sizeof type;
    const int datagrams = !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_DGRAM;
    if (bytes > 0 && datagrams && level == SOL_SOCKET && name == SO_RCVBUF) return next(fd, level, name, &bytes, sizeof bytes);
    return next(fd, level, name, value, length);
}
