#include "base/pages.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void *pages_take(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void pages_give(void *pages, size_t size)
{
    if (pages)
        munmap(pages, size);
}

/* ---- code ---- */

#define RANGES_MAX 8u /* of an object; linkers make two or three */

struct range {
    uintptr_t begin, end;
};

/* Whether the loader has written to segments that are not writable now: an object that was not compiled to
 * lie anywhere. */
static bool has_changed_text(const struct dl_phdr_info *object)
{
    const ElfW(Dyn) *dynamic = NULL;
    for (unsigned i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++)
        if (dynamic->d_tag == DT_TEXTREL ||
            (dynamic->d_tag == DT_FLAGS && (dynamic->d_un.d_val & DF_TEXTREL)))
            return true;
    return false;
}

static struct range range_of(const struct dl_phdr_info *object, const ElfW(Phdr) * segment)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    uintptr_t begin = object->dlpi_addr + segment->p_vaddr, end = begin + segment->p_memsz;
    return (struct range){begin & ~page, (end + page) & ~page};
}

/* Pages that may be written, or were before they became read-only (RELRO), are this process's own: dropped,
 * they would come back as they are in the file. They all lie in segments with PF_W. Those without it are as
 * in the file, whatever happened. The headers that say so lie in one of those: all are read before any is
 * dropped. */
static int object_forget(struct dl_phdr_info *object, size_t size, void *sum)
{
    (void)size;
    struct range ranges[RANGES_MAX];
    unsigned count = 0;
    if (has_changed_text(object))
        return 0;
    for (unsigned i = 0; i < object->dlpi_phnum && count < RANGES_MAX; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
            ranges[count++] = range_of(object, segment);
    }
    for (unsigned i = 0; i < count; i++)
        if (madvise((void *)ranges[i].begin, ranges[i].end - ranges[i].begin, MADV_DONTNEED) == 0)
            *(size_t *)sum += ranges[i].end - ranges[i].begin;
    return 0;
}

size_t pages_forget_code(void)
{
    size_t sum = 0;
    dl_iterate_phdr(object_forget, &sum);
    return sum;
}
