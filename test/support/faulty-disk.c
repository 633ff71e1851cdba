/* Preloaded into a node by tests: writes or syncs of files whose path holds a word fail or do not return, for as long as
 * the file $CLAIMWIRE_TEST_FAULT holds `eio WORD` or `hang WORD`; with `slow WORD` they take 2 ms longer, and with `late WORD`
 * syncs alone take 1.2 s longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* 'e', 'h', 's', 'l' or 0 for what the fault file says of this descriptor now. */
static char fault(int fd) {
    char text[256] = {0}, link[64], path[4096] = {0};
    const char *file = getenv("CLAIMWIRE_TEST_FAULT");
    const int in = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (in < 0) return 0;
    const ssize_t length = read(in, text, sizeof text - 1);
    close(in);
    char *word = length > 0 ? strchr(text, ' ') : 0;
    if (!word) return 0;
    word[strcspn(word, "\n")] = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0 || !strstr(path, word + 1)) return 0;
    return text[0];
}
/* Whether the call, perhaps a sync, is to fail; does not return while it is to hang. */
static int fails(int fd, int is_sync) {
    char kind;
    while ((kind = fault(fd)) == 'h') usleep(20000);
    if (kind == 's') usleep(2000);
    if (kind == 'l' && is_sync) usleep(1200000);
    if (kind != 'e') return 0;
    errno = EIO;
    return 1;
}
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
int fdatasync(int fd) { return fails(fd, 1) ? -1 : NEXT(fdatasync)(fd); }
int fsync(int fd) { return fails(fd, 1) ? -1 : NEXT(fsync)(fd); }
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) { return fails(fd, 0) ? -1 : NEXT(pwrite)(fd, bytes, n, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) { return fails(fd, 0) ? -1 : NEXT(pwrite64)(fd, bytes, n, at); }
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) { return fails(fd, 0) ? -1 : NEXT(pwritev)(fd, v, n, at); }
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at) { return fails(fd, 0) ? -1 : NEXT(pwritev64)(fd, v, n, at); }
