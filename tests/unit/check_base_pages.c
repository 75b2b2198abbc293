/* Pages: what is never touched takes no memory, and code that is dropped is there again when it is needed. */
#include "base/pages.h"

#include <check.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SIZE 4096u
#define IN_MEMORY (1ull << 63)

/* Not zeroes, so that they are in the program's file; never written, so that they lie among the constants. */
#define ROW_COUNT 65536u
static const uint64_t constants[ROW_COUNT] = {[0 ... ROW_COUNT - 1] = 0x0123456789abcdefu};

static uint64_t variables[ROW_COUNT] = {1};
static const char *const addresses[] = {"these", "were", "written", "by", "the", "loader"}; /* RELRO */

/* The kernel's entries of some pages. */
struct look {
    int file;
    size_t first, count;
    uint64_t entry[2 * sizeof constants / PAGE_SIZE];
};

static struct look look_at(const void *from, size_t size)
{
    size_t first = (uintptr_t)from / PAGE_SIZE, end = ((uintptr_t)from + size + PAGE_SIZE - 1) / PAGE_SIZE;
    struct look look = {open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), first, end - first, {0}};
    ck_assert_int_ge(look.file, 0);
    ck_assert_uint_le(look.count, sizeof look.entry / sizeof *look.entry);
    return look;
}

/* How many of them this process has in memory. It touches no constant, since who touches one page may get
 * many: the kernel brings neighbours with it. */
static size_t present_count(struct look *look)
{
    size_t present = 0;
    ssize_t size = (ssize_t)(look->count * sizeof *look->entry);
    if (pread(look->file, look->entry, (size_t)size, (off_t)(look->first * sizeof *look->entry)) != size)
        return SIZE_MAX;
    for (size_t i = 0; i < look->count; i++)
        present += (look->entry[i] & IN_MEMORY) != 0;
    return present;
}

static uint64_t sum_of(const uint64_t *values)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ROW_COUNT; i++)
        sum += ((const volatile uint64_t *)values)[i];
    return sum;
}

#define CONSTANTS_SUM (0x0123456789abcdefu * ROW_COUNT)

START_TEST(pages_are_zeroes_in_memory_once_they_are_written)
{
    size_t size = 64 * PAGE_SIZE;
    unsigned char *pages = pages_take(size);
    ck_assert_ptr_nonnull(pages);
    ck_assert_uint_eq((uintptr_t)pages % PAGE_SIZE, 0);
    struct look look = look_at(pages, size);
    ck_assert_uint_eq(present_count(&look), 0);
    pages[5 * PAGE_SIZE] = 1;
    size_t present = present_count(&look);
    close(look.file);
    ck_assert_uint_ge(present, 1);
    ck_assert_uint_lt(present, 64);
    ck_assert_uint_eq(pages[5 * PAGE_SIZE], 1);
    pages[5 * PAGE_SIZE] = 0;
    size_t others = 0;
    for (size_t i = 0; i < size; i++)
        others += pages[i] != 0;
    ck_assert_uint_eq(others, 0);
    pages_give(pages, size);
}
END_TEST

START_TEST(giving_nothing_is_fine)
{
    pages_give(NULL, PAGE_SIZE);
}
END_TEST

START_TEST(more_than_there_is_is_refused)
{
    ck_assert_ptr_null(pages_take(SIZE_MAX / 2));
}
END_TEST

START_TEST(constants_leave_memory_and_come_back_as_they_were)
{
    struct look look = look_at(constants, sizeof constants);
    ck_assert_uint_eq(sum_of(constants), CONSTANTS_SUM);
    size_t before = present_count(&look), size = pages_forget_code(), after = present_count(&look);
    close(look.file);
    ck_assert_uint_eq(before, look.count);
    ck_assert_uint_ge(size, sizeof constants);
    ck_assert_uint_le(after, before / 8);
    ck_assert_uint_eq(sum_of(constants), CONSTANTS_SUM);
}
END_TEST

START_TEST(what_was_written_stays)
{
    char *heap = strdup("on the heap");
    uint64_t stack = 7;
    for (size_t i = 0; i < ROW_COUNT; i++)
        variables[i] = i * 3;
    pages_forget_code();
    size_t lost = 0;
    for (size_t i = 0; i < ROW_COUNT; i++)
        lost += variables[i] != i * 3;
    ck_assert_uint_eq(lost, 0);
    ck_assert_str_eq(heap, "on the heap");
    ck_assert_uint_eq(stack, 7);
    ck_assert_str_eq(((const char *const volatile *)addresses)[5], "loader");
    free(heap);
}
END_TEST

/* As a debugger does, or a loader. */
START_TEST(a_constant_that_was_changed_stays_changed)
{
    uintptr_t page = ((uintptr_t)&constants[ROW_COUNT / 2] + PAGE_SIZE - 1) & ~(uintptr_t)(PAGE_SIZE - 1);
    volatile uint64_t *changed = (volatile uint64_t *)page;
    ck_assert_int_eq(mprotect((void *)page, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
    *changed = 42;
    ck_assert_int_eq(mprotect((void *)page, PAGE_SIZE, PROT_READ), 0);
    pages_forget_code();
    ck_assert_uint_eq(*changed, 42);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/pages");
    TCase *tcase = tcase_create("pages");
    tcase_add_test(tcase, pages_are_zeroes_in_memory_once_they_are_written);
    tcase_add_test(tcase, giving_nothing_is_fine);
    tcase_add_test(tcase, more_than_there_is_is_refused);
    tcase_add_test(tcase, constants_leave_memory_and_come_back_as_they_were);
    tcase_add_test(tcase, what_was_written_stays);
    tcase_add_test(tcase, a_constant_that_was_changed_stays_changed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
