/* One line an event to standard error (or syslog once detached), below a level set at run time.
 *
 * Place: base. Nothing a request does is logged above debug; lines a client can cause are rate-limited
 * by log_limited.
 * Thread-safety: any thread; a line is written by one write. */
#ifndef VITRINE_BASE_LOG_H
#define VITRINE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_TRACE };

void log_level_set(enum log_level level);
enum log_level log_level_get(void);

/* Lines go to syslog(3) instead of standard error from now on: for a process without a terminal. */
void log_to_syslog(const char *name);

#define LOG_FORMAT(f, a) __attribute__((format(printf, f, a)))
void log_error(const char *format, ...) LOG_FORMAT(1, 2);
void log_warn(const char *format, ...) LOG_FORMAT(1, 2);
void log_info(const char *format, ...) LOG_FORMAT(1, 2);
void log_debug(const char *format, ...) LOG_FORMAT(1, 2);

/* True at most once a second for each `last_s` (a static of the caller's, 0 at first). */
bool log_limited(_Atomic uint32_t *last_s);

#endif
