/* Signals: SIGTERM and SIGINT end net_run, a second one ends the process; SIGHUP is noted; SIGPIPE ignored.
 */
#include "base/log.h"
#include "net/net_priv.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* Relaxed throughout: each is a lone word, and the eventfd's write and read order them. */
static _Atomic bool stop_asked, hangup_seen;
static int wake_descriptor;

static void wake(void)
{
    uint64_t one = 1;
    ssize_t ignored = write(wake_descriptor, &one, sizeof one);
    (void)ignored; /* a full eventfd wakes as well */
}

static void on_stop(int number)
{
    (void)number;
    signal(SIGTERM, SIG_DFL); /* the next one ends the process there and then */
    signal(SIGINT, SIG_DFL);
    atomic_store_explicit(&stop_asked, true, memory_order_relaxed);
    wake();
}

static void on_hangup(int number)
{
    (void)number;
    atomic_store_explicit(&hangup_seen, true, memory_order_relaxed);
    wake();
}

static void catch_signal(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void signals_catch(int wake_fd)
{
    wake_descriptor = wake_fd;
    catch_signal(SIGTERM, on_stop);
    catch_signal(SIGINT, on_stop);
    catch_signal(SIGHUP, on_hangup);
    catch_signal(SIGPIPE, SIG_IGN);
}

bool signals_stop_asked(void)
{
    return atomic_load_explicit(&stop_asked, memory_order_relaxed);
}

void signals_log_ignored(void)
{
    if (atomic_exchange_explicit(&hangup_seen, false, memory_order_relaxed))
        log_info("SIGHUP ignored: settings change through the admin server or by a restart");
}
