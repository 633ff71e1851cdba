/* A preload library that records, in one order, what a process does to the files below a folder and what it answers.
 *
 *   CLAIMWIRE_RECORD_ROOT  folder whose files are recorded; absolute, without symbolic links
 *   CLAIMWIRE_RECORD_LOG   file the records are appended to
 *
 * Every thread of the process runs this. The order is that of the log, kept by one mutex:
 *   - a call that changes a file or a name is made and recorded inside it, so no other thread sees the change before it
 *     is in the log;
 *   - a sync has two records, before the call and after it: it covers what stands before the first, and counts from the
 *     second. A write to a descriptor opened with O_DSYNC has the same two;
 *   - an answer is recorded before it leaves.
 * A call that fails leaves no record. What the recorder cannot follow (a file grown by fallocate, a mapping that is
 * written to) is recorded by its name, and the reader refuses the recording. io_uring is refused with ENOSYS. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* The same numbers as in recording.ts. */
enum kind { START = 1, OPEN, CLOSE, DUP, WRITE, ZEROS, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, LINK, UNLINK, MKDIR, RMDIR, SENT, UNKNOWN, BIND };
struct record {
    uint32_t bytes; /* with the payload */
    uint16_t kind;
    uint16_t flags;
    uint32_t call;  /* ties a sync's end to its beginning */
    int32_t fd;
    int64_t offset;
    int64_t length;
};
enum { IS_DSYNC = 1, IS_DATA_ONLY = 2, IS_STREAM = 4, IS_CREATED = 8 };
enum { FDS = 1 << 16, TRACKED = 1, SYNCED_WRITES = 2 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned char state_of[FDS];
static char root[PATH_MAX];
static size_t root_bytes;
static int log_fd = -1;
static uint32_t calls;

#define REAL(result, name, ...) \
    static result (*real_##name)(__VA_ARGS__); \
    static void find_##name(void) { if (!real_##name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name); }
REAL(int, open64, const char *, int, ...)
REAL(int, openat64, int, const char *, int, ...)
REAL(int, close, int)
REAL(int, fcntl64, int, int, ...)
REAL(int, dup, int)
REAL(int, dup2, int, int)
REAL(int, dup3, int, int, int)
REAL(ssize_t, write, int, const void *, size_t)
REAL(ssize_t, writev, int, const struct iovec *, int)
REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)
REAL(ssize_t, pwritev64, int, const struct iovec *, int, off64_t)
REAL(int, ftruncate64, int, off64_t)
REAL(int, truncate64, const char *, off64_t)
REAL(int, fallocate64, int, int, off64_t, off64_t)
REAL(int, posix_fallocate64, int, off64_t, off64_t)
REAL(int, fsync, int)
REAL(int, fdatasync, int)
REAL(int, sync_file_range, int, off64_t, off64_t, unsigned)
REAL(int, msync, void *, size_t, int)
REAL(void *, mmap64, void *, size_t, int, int, int, off64_t)
REAL(ssize_t, sendfile64, int, int, off64_t *, size_t)
REAL(int, rename, const char *, const char *)
REAL(int, renameat, int, const char *, int, const char *)
REAL(int, renameat2, int, const char *, int, const char *, unsigned)
REAL(int, link, const char *, const char *)
REAL(int, linkat, int, const char *, int, const char *, int)
REAL(int, symlink, const char *, const char *)
REAL(int, unlink, const char *)
REAL(int, unlinkat, int, const char *, int)
REAL(int, mkdir, const char *, mode_t)
REAL(int, mkdirat, int, const char *, mode_t)
REAL(int, rmdir, const char *)
REAL(int, bind, int, const struct sockaddr *, socklen_t)
REAL(ssize_t, send, int, const void *, size_t, int)
REAL(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t)
REAL(ssize_t, sendmsg, int, const struct msghdr *, int)
REAL(int, sendmmsg, int, struct mmsghdr *, unsigned, int)

static void fail(const char *what) {
    fprintf(stderr, "recorder: %s: %s\n", what, strerror(errno));
    abort();
}
/* Appends one record, the mutex held. A record that cannot be written would be a hole in the evidence. */
static void append(enum kind kind, int flags, uint32_t call, int fd, int64_t offset, int64_t length, const struct iovec *parts, int count) {
    struct iovec pieces[1 + 64];
    struct record record = {.kind = (uint16_t)kind, .flags = (uint16_t)flags, .call = call, .fd = fd, .offset = offset, .length = length};
    size_t bytes = sizeof record;
    if (count > 64) errno = E2BIG, fail("parts of one write");
    pieces[0] = (struct iovec){&record, sizeof record};
    for (int i = 0; i < count; i++) pieces[i + 1] = parts[i], bytes += parts[i].iov_len;
    record.bytes = (uint32_t)bytes;
    find_writev();
    if (real_writev(log_fd, pieces, count + 1) != (ssize_t)bytes) fail("the log");
}
static void append_text(enum kind kind, int flags, int fd, int64_t value, const char *text) {
    const struct iovec part = {(void *)text, strlen(text)};
    append(kind, flags, 0, fd, value, 0, &part, 1);
}
static void lock(void) { pthread_mutex_lock(&mutex); }
static void unlock(void) {
    const int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
}
static int is_recorded(int fd) { return fd >= 0 && fd < FDS && __atomic_load_n(&state_of[fd], __ATOMIC_RELAXED) != 0; }
static void set_state(int fd, unsigned char state) {
    if (fd >= FDS) errno = EMFILE, fail("descriptors");
    __atomic_store_n(&state_of[fd], state, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("CLAIMWIRE_RECORD_LOG"), *folder = getenv("CLAIMWIRE_RECORD_ROOT");
    if (!log || !folder) return;
    find_open64();
    root_bytes = strlen(folder);
    memcpy(root, folder, root_bytes + 1);
    log_fd = real_open64(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) fail(log);
    unsetenv("LD_PRELOAD"); /* this process alone */
    lock();
    append_text(START, 0, -1, getpid(), root);
    unlock();
}

/* The absolute path in `out`, or 0 where it does not lie below the root. `path` may be `out` itself if it is absolute. */
static int below_root(int folder, const char *path, char out[PATH_MAX]) {
    char base[PATH_MAX] = "";
    if (log_fd < 0 || !path) return 0;
    if (path[0] != '/') {
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char name[64];
            snprintf(name, sizeof name, "/proc/self/fd/%d", folder);
            const ssize_t bytes = readlink(name, base, sizeof base - 1);
            if (bytes < 0) return 0;
            base[bytes] = 0;
        }
    }
    if (out != path && snprintf(out, PATH_MAX, "%s%s%s", base, base[0] ? "/" : "", path) >= PATH_MAX) return 0;
    return strncmp(out, root, root_bytes) == 0 && (out[root_bytes] == '/' || out[root_bytes] == 0);
}
static void unknown(const char *what) {
    lock();
    append_text(UNKNOWN, 0, -1, 0, what);
    unlock();
}

/* ---- names ---- */
static int open_any(int folder, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    find_openat64();
    if (!below_root(folder, path, full)) return real_openat64(folder, path, flags, mode);
    lock();
    struct stat64 before;
    const int was_there = stat64(full, &before) == 0;
    const int fd = real_openat64(folder, path, flags, mode);
    if (fd >= 0) {
        const int is_synced = (flags & O_DSYNC) != 0; /* O_SYNC has this bit too */
        set_state(fd, is_synced ? TRACKED | SYNCED_WRITES : TRACKED);
        append_text(OPEN, (is_synced ? IS_DSYNC : 0) | (was_there ? 0 : IS_CREATED), fd, flags & O_TRUNC ? 1 : 0, full);
    }
    unlock();
    return fd;
}
static mode_t mode_of(int flags, va_list rest) { return flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; }
#define OPEN_LIKE(name, folder, ...) \
    int name(__VA_ARGS__, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        const mode_t mode = mode_of(flags, rest); \
        va_end(rest); \
        return open_any(folder, path, flags, mode); \
    }
OPEN_LIKE(open, AT_FDCWD, const char *path)
OPEN_LIKE(open64, AT_FDCWD, const char *path)
OPEN_LIKE(openat, folder, int folder, const char *path)
OPEN_LIKE(openat64, folder, int folder, const char *path)
int creat(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
    find_close();
    if (is_recorded(fd)) {
        lock();
        set_state(fd, 0);
        append(CLOSE, 0, 0, fd, 0, 0, NULL, 0);
        unlock();
    }
    return real_close(fd);
}
static int duplicated(int from, int to) {
    if (to >= 0 && is_recorded(from)) {
        set_state(to, state_of[from]);
        append(DUP, 0, 0, to, from, 0, NULL, 0);
    }
    return to;
}
#define DUP_LIKE(call) \
    lock(); \
    const int result = duplicated(fd, call); \
    unlock(); \
    return result;
int dup(int fd) { find_dup(); DUP_LIKE(real_dup(fd)) }
int dup2(int fd, int to) { find_dup2(); DUP_LIKE(real_dup2(fd, to)) }
int dup3(int fd, int to, int flags) { find_dup3(); DUP_LIKE(real_dup3(fd, to, flags)) }
int fcntl64(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    find_fcntl64();
    /* A lock may wait for another process: only a copy of a descriptor is made inside the mutex. */
    if (command != F_DUPFD && command != F_DUPFD_CLOEXEC) return real_fcntl64(fd, command, argument);
    DUP_LIKE(real_fcntl64(fd, command, argument))
}
int fcntl(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return fcntl64(fd, command, argument);
}

/* A change of one name, made and recorded inside the mutex. */
#define NAME_LIKE(kind, folder, path, call) \
    char full[PATH_MAX]; \
    if (!below_root(folder, path, full)) return call; \
    lock(); \
    const int result = call; \
    if (result == 0) append_text(kind, 0, -1, 0, full); \
    unlock(); \
    return result;
/* A change of two names: both paths, a zero between them. */
#define NAMES_LIKE(kind, from_folder, from, to_folder, to, call) \
    char first[PATH_MAX], second[PATH_MAX]; \
    const int is_inside = below_root(to_folder, to, second); \
    if (below_root(from_folder, from, first) != is_inside) unknown("a name moved over the border of the root"); \
    if (!is_inside) return call; \
    lock(); \
    const int result = call; \
    const struct iovec parts[2] = {{first, strlen(first) + 1}, {second, strlen(second)}}; \
    if (result == 0) append(kind, 0, 0, -1, 0, 0, parts, 2); \
    unlock(); \
    return result;
int unlink(const char *path) { find_unlink(); NAME_LIKE(UNLINK, AT_FDCWD, path, real_unlink(path)) }
int rmdir(const char *path) { find_rmdir(); NAME_LIKE(RMDIR, AT_FDCWD, path, real_rmdir(path)) }
int unlinkat(int folder, const char *path, int flags) {
    find_unlinkat();
    NAME_LIKE(flags & AT_REMOVEDIR ? RMDIR : UNLINK, folder, path, real_unlinkat(folder, path, flags))
}
int remove(const char *path) {
    struct stat64 what;
    return stat64(path, &what) == 0 && S_ISDIR(what.st_mode) ? rmdir(path) : unlink(path);
}
int mkdir(const char *path, mode_t mode) { find_mkdir(); NAME_LIKE(MKDIR, AT_FDCWD, path, real_mkdir(path, mode)) }
int mkdirat(int folder, const char *path, mode_t mode) { find_mkdirat(); NAME_LIKE(MKDIR, folder, path, real_mkdirat(folder, path, mode)) }
int rename(const char *from, const char *to) { find_rename(); NAMES_LIKE(RENAME, AT_FDCWD, from, AT_FDCWD, to, real_rename(from, to)) }
int renameat(int a, const char *from, int b, const char *to) { find_renameat(); NAMES_LIKE(RENAME, a, from, b, to, real_renameat(a, from, b, to)) }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    find_renameat2();
    if (flags & RENAME_EXCHANGE) unknown("renameat2 with RENAME_EXCHANGE");
    NAMES_LIKE(RENAME, a, from, b, to, real_renameat2(a, from, b, to, flags))
}
int link(const char *from, const char *to) { find_link(); NAMES_LIKE(LINK, AT_FDCWD, from, AT_FDCWD, to, real_link(from, to)) }
int linkat(int a, const char *from, int b, const char *to, int flags) { find_linkat(); NAMES_LIKE(LINK, a, from, b, to, real_linkat(a, from, b, to, flags)) }
int symlink(const char *from, const char *to) {
    char full[PATH_MAX];
    find_symlink();
    if (below_root(AT_FDCWD, to, full)) unknown("symlink");
    return real_symlink(from, to);
}

/* A Unix socket is a name too; it may have been bound through a descriptor's path. */
int bind(int fd, const struct sockaddr *address, socklen_t size) {
    find_bind();
    if (log_fd < 0 || address->sa_family != AF_UNIX) return real_bind(fd, address, size);
    char full[PATH_MAX];
    lock();
    const int result = real_bind(fd, address, size);
    const char *path = ((const struct sockaddr_un *)address)->sun_path;
    const int is_named = result == 0 && path[0] && realpath(path, full) && below_root(AT_FDCWD, full, full);
    if (is_named) append_text(BIND, 0, -1, 0, full);
    unlock();
    return result;
}

/* ---- contents ---- */
static int is_zero(const struct iovec *parts, int count) {
    for (int i = 0; i < count; i++) {
        const char *bytes = parts[i].iov_base;
        const size_t length = parts[i].iov_len;
        if (length > 0 && (bytes[0] != 0 || memcmp(bytes, bytes + 1, length - 1) != 0)) return 0;
    }
    return 1;
}
/* The `written` first bytes of `parts`; zeros are only counted. */
static void append_write(int flags, uint32_t call, int fd, int64_t offset, int64_t written, const struct iovec *parts, int count) {
    struct iovec kept[64];
    int n = 0;
    if (count > 64) errno = E2BIG, fail("parts of one write");
    for (int64_t left = written; left > 0 && n < count; n++) {
        kept[n] = parts[n];
        if ((int64_t)kept[n].iov_len > left) kept[n].iov_len = (size_t)left;
        left -= (int64_t)kept[n].iov_len;
    }
    const int only_zeros = written > 0 && is_zero(kept, n);
    append(only_zeros ? ZEROS : WRITE, flags, call, fd, offset, written, kept, only_zeros ? 0 : n);
}
/* A write in place. With O_DSYNC the bytes may reach the disk while the call waits, so it is recorded first, and again
 * when they are durable; otherwise the call only copies into the page cache and is made inside the mutex. */
static ssize_t write_at(int fd, const struct iovec *parts, int count, off64_t offset) {
    find_pwritev64();
    lock();
    if (state_of[fd] & SYNCED_WRITES) {
        int64_t length = 0;
        for (int i = 0; i < count; i++) length += (int64_t)parts[i].iov_len;
        const uint32_t call = ++calls;
        append_write(IS_DSYNC, call, fd, offset, length, parts, count);
        unlock();
        const ssize_t written = real_pwritev64(fd, parts, count, offset);
        if (written != length) fail("a synced write that the log has in full");
        lock();
        append(SYNC_END, IS_DSYNC, call, fd, 0, 0, NULL, 0);
        unlock();
        return written;
    }
    const ssize_t written = real_pwritev64(fd, parts, count, offset);
    if (written > 0) append_write(0, 0, fd, offset, written, parts, count);
    unlock();
    return written;
}
/* A write where the descriptor stands: files here have one writer at a time, so the position may be asked for first. */
static ssize_t write_on(int fd, const struct iovec *parts, int count) {
    const off64_t at = fcntl64(fd, F_GETFL) & O_APPEND ? lseek64(fd, 0, SEEK_END) : lseek64(fd, 0, SEEK_CUR);
    const ssize_t written = write_at(fd, parts, count, at);
    if (written > 0) lseek64(fd, at + written, SEEK_SET);
    return written;
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    const struct iovec part = {(void *)bytes, length};
    find_pwrite64();
    return is_recorded(fd) ? write_at(fd, &part, 1, offset) : real_pwrite64(fd, bytes, length, offset);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    find_pwritev64();
    return is_recorded(fd) ? write_at(fd, parts, count, offset) : real_pwritev64(fd, parts, count, offset);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return pwritev64(fd, parts, count, offset); }

static int truncated(int fd, off64_t length) {
    lock();
    const int result = real_ftruncate64(fd, length);
    if (result == 0) append(TRUNCATE, 0, 0, fd, 0, length, NULL, 0);
    unlock();
    return result;
}
int ftruncate64(int fd, off64_t length) {
    find_ftruncate64();
    return is_recorded(fd) ? truncated(fd, length) : real_ftruncate64(fd, length);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
int truncate64(const char *path, off64_t length) {
    char full[PATH_MAX];
    find_truncate64();
    if (below_root(AT_FDCWD, path, full)) unknown("truncate");
    return real_truncate64(path, length);
}
int truncate(const char *path, off_t length) { return truncate64(path, length); }
int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    find_fallocate64();
    if (is_recorded(fd)) unknown("fallocate");
    return real_fallocate64(fd, mode, offset, length);
}
int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    find_posix_fallocate64();
    if (is_recorded(fd)) unknown("posix_fallocate");
    return real_posix_fallocate64(fd, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) {
    find_sendfile64();
    if (is_recorded(to)) unknown("sendfile");
    return real_sendfile64(to, from, offset, count);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t count) { return sendfile64(to, from, offset, count); }
ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
    if (is_recorded(to)) unknown("copy_file_range");
    return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, length, flags);
}
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    find_mmap64();
    if (is_recorded(fd) && (flags & MAP_SHARED) && (protection & PROT_WRITE)) {
        char name[64], path[PATH_MAX];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        const ssize_t bytes = readlink(name, path, sizeof path - 1);
        path[bytes < 0 ? 0 : bytes] = 0;
        /* LMDB's table of readers: it says nothing after a restart, and LMDB writes it anew. */
        if (!strstr(path, "/lock.mdb")) unknown("a mapping that is written to");
    }
    return real_mmap64(address, length, protection, flags, fd, offset);
}
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) { return mmap64(address, length, protection, flags, fd, offset); }

/* ---- syncs ---- */
#define SYNC_LIKE(flags, call) \
    lock(); \
    const uint32_t number = ++calls; \
    append(SYNC_BEGIN, flags, number, fd, 0, 0, NULL, 0); \
    unlock(); \
    const int result = call; \
    if (result == 0) { \
        lock(); \
        append(SYNC_END, flags, number, fd, 0, 0, NULL, 0); \
        unlock(); \
    } \
    return result;
int fsync(int fd) {
    find_fsync();
    if (!is_recorded(fd)) return real_fsync(fd);
    SYNC_LIKE(0, real_fsync(fd))
}
int fdatasync(int fd) {
    find_fdatasync();
    if (!is_recorded(fd)) return real_fdatasync(fd);
    SYNC_LIKE(IS_DATA_ONLY, real_fdatasync(fd))
}
/* It starts the writing and promises nothing. */
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
    find_sync_file_range();
    return real_sync_file_range(fd, offset, length, flags);
}
/* No file below the root is written through a mapping (see mmap64), so there is nothing that an msync could cover. */
int msync(void *address, size_t length, int flags) {
    find_msync();
    return real_msync(address, length, flags);
}

/* ---- answers ---- */
enum { ACK_BYTES = 32, ACK_TYPE = 2, FRAME_HEADER_BYTES = 4 };
/* Acks in a datagram or behind a stream's length, or an HTTP answer: what somebody outside may rely on. */
static int is_answer(const struct iovec *parts, int count, int *flags) {
    char head[8] = {0};
    size_t n = 0;
    for (int i = 0; i < count && n < sizeof head; i++)
        for (size_t j = 0; j < parts[i].iov_len && n < sizeof head; j++) head[n++] = ((const char *)parts[i].iov_base)[j];
    *flags = 0;
    if (n >= ACK_TYPE && head[0] == ACK_TYPE) return 1;
    *flags = IS_STREAM;
    return n == sizeof head && ((head[0] == 0 && head[FRAME_HEADER_BYTES] == ACK_TYPE) || memcmp(head, "HTTP/1.", 7) == 0);
}
static void sent(int fd, const struct iovec *parts, int count) {
    int flags;
    if (log_fd < 0 || !is_answer(parts, count, &flags)) return;
    lock();
    append(SENT, flags, 0, fd, 0, 0, parts, count);
    unlock();
}
ssize_t write(int fd, const void *bytes, size_t length) {
    const struct iovec part = {(void *)bytes, length};
    find_write();
    if (is_recorded(fd)) return write_on(fd, &part, 1);
    sent(fd, &part, 1);
    return real_write(fd, bytes, length);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    find_writev();
    if (is_recorded(fd)) return write_on(fd, parts, count);
    sent(fd, parts, count);
    return real_writev(fd, parts, count);
}
ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    const struct iovec part = {(void *)bytes, length};
    find_send();
    sent(fd, &part, 1);
    return real_send(fd, bytes, length, flags);
}
ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *address, socklen_t size) {
    const struct iovec part = {(void *)bytes, length};
    find_sendto();
    sent(fd, &part, 1);
    return real_sendto(fd, bytes, length, flags, address, size);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    find_sendmsg();
    sent(fd, message->msg_iov, (int)message->msg_iovlen);
    return real_sendmsg(fd, message, flags);
}
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    find_sendmmsg();
    for (unsigned i = 0; i < count; i++) sent(fd, messages[i].msg_hdr.msg_iov, (int)messages[i].msg_hdr.msg_iovlen);
    return real_sendmmsg(fd, messages, count, flags);
}

/* ---- system calls made without the C library's names ---- */
static long raw(long n, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = n;
    register long result __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(result) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
#else
#error "the recorder knows the system calls of x86-64 and aarch64"
#endif
    if (result >= 0 || result < -4095) return result;
    errno = (int)-result;
    return -1;
}
long syscall(long n, ...) {
    va_list rest;
    va_start(rest, n);
    const long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long);
    const long d = va_arg(rest, long), e = va_arg(rest, long), f = va_arg(rest, long);
    va_end(rest);
    if (n == SYS_io_uring_setup) {
        errno = ENOSYS;
        return -1;
    }
    if (n == SYS_close) return close((int)a); /* as libuv closes files */
    const int is_write = n == SYS_write || n == SYS_writev || n == SYS_pwrite64 || n == SYS_pwritev || n == SYS_pwritev2 ||
                         n == SYS_ftruncate || n == SYS_fsync || n == SYS_fdatasync;
    if (is_write && is_recorded((int)a)) unknown("a raw system call on a recorded file");
    if (n == SYS_copy_file_range && is_recorded((int)c)) unknown("copy_file_range");
    return raw(n, a, b, c, d, e, f);
}
