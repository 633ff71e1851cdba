/* Memory for secret keys: pages of their own that are neither swapped to disk nor written into a dump, where the system allows it. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>
#include "sign_key.h"

static size_t whole_pages(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}
void *cw_map_secret(size_t bytes, const char **note) {
    const size_t size = whole_pages(bytes);
    void *memory = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 0;
    *note = "";
#ifdef MADV_DONTDUMP
    if (madvise(memory, size, MADV_DONTDUMP)) *note = "the key's memory can be in a core dump: madvise(MADV_DONTDUMP) was refused";
#endif
    if (mlock(memory, size)) *note = "the key's memory can be swapped to disk: expected mlock to hold a page, got a refusal (ulimit -l)";
    return memory;
}
void cw_unmap_secret(void *memory, size_t bytes) { munmap(memory, whole_pages(bytes)); }
