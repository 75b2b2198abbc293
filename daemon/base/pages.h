/* Memory by the page: of which what is never touched costs nothing, and what is no longer needed goes back.
 *
 * Place: base. Thread-safety: any thread. */
#ifndef VITRINE_BASE_PAGES_H
#define VITRINE_BASE_PAGES_H

#include <stddef.h>

/* Zeroes, at a page's begin, that are in memory from their first write on. NULL: no memory. */
void *pages_take(size_t size);
void pages_give(void *pages, size_t size); /* NULL is fine */

/* Drops the program's and its libraries' code and constants from this process: most of them were touched only
 * while it started. What is needed again comes back from the page cache, some neighbours with it. Returns how
 * many bytes of addresses it went over; 0 where there is no /proc. */
size_t pages_forget_code(void);

#endif
