#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_SIZE_MAX 1024

/* Relaxed: a line more or less after a change of level harms nobody. */
static _Atomic int level_now = LOG_LEVEL_INFO;
static _Atomic bool detached;

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

enum log_level log_level_get(void)
{
    return (enum log_level)atomic_load_explicit(&level_now, memory_order_relaxed);
}

void log_to_syslog(const char *name)
{
    openlog(name, LOG_PID, LOG_DAEMON);
    atomic_store_explicit(&detached, true, memory_order_relaxed);
}

/* Control bytes could forge a second line or drive a terminal: they become '?'. */
static void make_printable(char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
}

static void emit(enum log_level level, int priority, const char *format, va_list arguments)
{
    if (level > log_level_get())
        return;
    char line[LINE_SIZE_MAX];
    const size_t prefix = (size_t)snprintf(line, sizeof line, "vitrine: ");
    int wrote = vsnprintf(line + prefix, sizeof line - prefix - 1, format, arguments);
    if (wrote < 0)
        return;
    size_t size = strnlen(line, sizeof line - 2);
    make_printable(line, size);
    if (atomic_load_explicit(&detached, memory_order_relaxed)) {
        syslog(priority, "%s", line + prefix);
        return;
    }
    line[size++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, size);
    (void)ignored; /* a closed terminal is no reason to stop serving */
}

#define DEFINE_LOG(name, level, priority)                                                                    \
    void name(const char *format, ...)                                                                       \
    {                                                                                                        \
        va_list arguments;                                                                                   \
        va_start(arguments, format);                                                                         \
        emit(level, priority, format, arguments);                                                            \
        va_end(arguments);                                                                                   \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR, LOG_ERR)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN, LOG_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO, LOG_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG, LOG_DEBUG)

bool log_limited(_Atomic uint32_t *last_s)
{
    uint32_t now = clock_s(), last = atomic_load_explicit(last_s, memory_order_relaxed);
    /* Relaxed: the exchange alone decides who may write this second's line. */
    return last != now && atomic_compare_exchange_strong_explicit(last_s, &last, now, memory_order_relaxed,
                                                                  memory_order_relaxed);
}
