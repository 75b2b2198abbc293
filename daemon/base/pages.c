#include "base/pages.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

#define MAPPINGS_MAX 256u /* two or three an object */

struct mapping {
    uintptr_t begin, end;
};

/* A mapping's first line in smaps. False: it is not of a file, or may be written to. */
static bool is_constant(const char *line, struct mapping *mapping)
{
    char rights[5];
    unsigned long file;
    int found = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %lu", &mapping->begin, &mapping->end,
                       rights, &file);
    return found == 4 && rights[1] == '-' && rights[3] == 'p' && file != 0;
}

/* Where the process has pages of its own in a mapping, they are not as in the file: the loader wrote to them
 * before they became read-only (RELRO), or a debugger set a breakpoint. Dropped, they would be lost, so such
 * mappings are left out. In the others every page is the page cache's. */
static unsigned mappings_find(struct mapping *mappings)
{
    char line[512];
    unsigned count = 0;
    bool constant = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    if (!file)
        return 0;
    while (count < MAPPINGS_MAX && fgets(line, sizeof line, file)) {
        unsigned long own_kib;
        if (strchr("0123456789abcdef", line[0]))
            constant = is_constant(line, &mappings[count]);
        else if (constant && sscanf(line, "Anonymous: %lu", &own_kib) == 1 && own_kib == 0)
            count++;
    }
    fclose(file);
    return count;
}

/* All are found before the first is dropped: finding them needs code. */
size_t pages_forget_code(void)
{
    struct mapping mappings[MAPPINGS_MAX];
    unsigned count = mappings_find(mappings);
    size_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t size = mappings[i].end - mappings[i].begin;
        if (madvise((void *)mappings[i].begin, size, MADV_DONTNEED) == 0)
            sum += size;
    }
    return sum;
}
